import type { Answer } from '../http.js';
import type { Batch, Call, Row } from './batch.js';
import { report, type Finding } from './findings.js';
import { rotationAtProvider } from './modes.js';
import type { FaultScene } from './scene.js';
import { groupBy, countOf } from './group-by.js';
import { committedAt, isOutOfOrder, readVersionLog, type LoggedVersion } from './version-log.js';

/** Times that the audit asks for a renewal which cannot be had just then. */
const TRIES = 5;

/**
 * What a scenario came to, over all its connections: whether the provider accepts the token that is served, whether the
 * grant that is stored renews (it is renewed once more to see that), and what was sent and written in which order.
 */
export async function audit(scene: FaultScene, batch: Batch, scenario: string): Promise<Finding> {
  const seconds = Math.round((performance.now() - batch.began) / 100) / 10;
  const before = await batch.calls();
  const stuck = (await batch.rows()).filter(({ lease_owner }) => lease_owner !== null).length;
  const lost: string[] = [];
  for (const row of await batch.rows()) {
    const reason = await whyLost(scene, batch, row);
    if (reason !== null) lost.push(reason);
  }
  const calls = groupBy(await batch.calls(), companyOf);
  const versions = await readVersionLog(scene.world, batch.ids);
  const pairs = batch.companies.map((company, index) => ({
    sent: calls.get(company) ?? [],
    committed: versions.get(batch.ids[index] ?? '') ?? [],
  }));
  const rotates = rotationAtProvider(batch.mode) !== 'none';
  const finding: Finding = {
    scenario,
    connections: batch.ids.length,
    lost: lost.length,
    reused: [...calls.values()].flat().filter(({ reused }) => reused).length,
    spentAgain: rotates ? pairs.filter(({ sent, committed }) => isSpentAgain(sent, committed)).length : 0,
    outOfOrder: pairs.filter(({ committed }) => isOutOfOrder(committed)).length,
    stuck,
    calls: before.length,
    mostCalls: Math.max(0, ...Object.values(countOf(groupBy(before, companyOf)))),
    seconds,
    reasons: countOf(groupBy(lost, (reason) => reason)),
  };
  report(finding);
  return finding;
}

/** Null where the grant lives: its served token is good, it renews once more, and then its token is good, too. */
async function whyLost(scene: FaultScene, batch: Batch, row: Row): Promise<string | null> {
  if (row.status !== 'active') return row.status_reason ?? row.status;
  if (!(await isServedTokenGood(scene, batch, row))) return 'token_dead';
  const { body } = await renewOnceMore(scene, row.id);
  if (body['status'] !== 'active' || Number(body['token_version']) <= row.token_version) {
    return `not_renewable: ${String(body['last_error'] ?? body['detail'])}`;
  }
  return (await isServedTokenGood(scene, batch, row)) ? null : 'renewed_token_dead';
}

/** What is closed for a moment is asked again when that is over. */
async function renewOnceMore({ world, survivor }: FaultScene, id: string): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    const answer = await world.api(survivor, 'POST', `/v1/connections/${id}/renew`);
    if (answer.status !== 503 || tries === TRIES) return answer;
    await world.advance(Number(answer.body['retry_after'] ?? 1));
  }
}

async function isServedTokenGood(scene: FaultScene, batch: Batch, row: Row): Promise<boolean> {
  const { status, body } = await batch.fetch(scene.survivor, row.company_id);
  if (status !== 200) return false;
  const state = await scene.world.simulator.introspect(body['access_token']);
  return state['active'] === true && state['company_id'] === row.company_id;
}

/** A refresh token had brought a new one, a version was committed, and it was sent again all the same. */
function isSpentAgain(sent: readonly Call[], committed: readonly LoggedVersion[]): boolean {
  return sent.some(({ at, outcome, fingerprints }, index) => {
    const later = sent
      .slice(index + 1)
      .filter((call) => call.fingerprints.refresh_token === fingerprints.refresh_token);
    return (
      outcome === 'ok' &&
      later.some((again) =>
        committedAt(committed).some((kept) => kept > Date.parse(at) && kept < Date.parse(again.at)),
      )
    );
  });
}

function companyOf({ company_id }: Call): string {
  return company_id ?? '';
}
