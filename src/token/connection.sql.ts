import { columns, seconds, tellReplicas } from './connection-row.sql.js';

/** Statements on `connections`: reading, and what callers report. */
export const SQL = {
  /** Two statements, since `is not distinct from` would not use the index. */
  findCompany: {
    name: 'connection_of_company',
    text: `select ${columns('c')} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id is null`,
  },

  findLocation: {
    name: 'connection_of_location',
    text: `select ${columns('c')} from connections c
           where c.provider = $1 and c.company_id = $2 and c.location_id = $3`,
  },

  findById: { name: 'connection_by_id', text: `select ${columns('c')} from connections c where c.id = $1` },

  /**
   * $1 provider, $2 company, $3 location, $4 status (each null: any), $5 after this id, $6 how many, $7 `due` or `overdue`:
   * secrets that a person made and that are to be replaced within $8 seconds, or should have been. Its other parameters are those
   * of `condition`.
   */
  list: (condition: string) => ({
    text: `select ${columns('c')} from connections c
           where ($1::text is null or c.provider = $1) and ($2::text is null or c.company_id = $2)
             and ($3::text is null or c.location_id = $3) and ($4::text is null or c.status = $4)
             and ($5::uuid is null or c.id > $5)
             and ($7::text is null or (c.status <> 'revoked' and case $7
               when 'overdue' then c.rotate_by <= broker_now()
               else c.rotate_by > broker_now() and c.rotate_by <= broker_now() + ${seconds('$8')} end))
             and (${condition})
           order by c.id limit $6`,
  }),

  /** The report of version $2 opens a renewal, unless another did so too short a time ago. Spacing doubles in a series. */
  acceptReport: {
    text: `update connections set
             reported_version = $2, reported_at = broker_now(), attempts = 0,
             -- A probe was put off for as long as this token was thought to be good.
             renew_at = case when unknown_outcome is null then renew_at else least(renew_at, broker_now()) end,
             report_spacing_s = case
               when reported_at is null or broker_now() > reported_at + ${seconds('report_spacing_s')} + interval '10 minutes'
               then 10 else least(greatest(report_spacing_s, 5) * 2, 600) end
           where id = $1 and token_version = $2 and status in ('active', 'suspect')
             and (reported_at is null or broker_now() >= reported_at + ${seconds('report_spacing_s')})
           returning id`,
  },

  /** A dead grant's token was reported: it is served no more, whatever the spacing. */
  markReported: {
    text: `with kept as (
             update connections set reported_version = $2, updated_at = broker_now()
             where id = $1 and token_version = $2 and status = 'reauthorization_required'
             returning id)
           ${tellReplicas('kept')}`,
    tells: 'connections',
  },
} as const;
