import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { aConnection, inSeconds, NOW } from '../../test/support/connections.js';
import { advise, nextTryAt, type Surroundings } from './advice.js';
import { CONNECTION_CODES, meaningOf } from './connection-code.js';
import { CLOSED_BECAUSE } from './room.js';
import { STATUSES, type Connection } from './connection.js';

const consent = { renews: true, mintsFromCredential: false };
const credential = { renews: true, mintsFromCredential: true };
const portal = { renews: false, mintsFromCredential: false };
const PROVIDERS = [consent, credential, portal, undefined];
const HELD_BACK = [
  undefined,
  ...CLOSED_BECAUSE.flatMap((because) => [null, inSeconds(900)].map((until) => ({ because, until }))),
];
const NO_TOKEN = { sealedToken: null, tokenVersion: 0, expiresAt: null };
const TOKENS: Partial<Connection>[] = [
  {},
  NO_TOKEN,
  { expiresAt: null },
  { expiresAt: inSeconds(-5) },
  { reportedVersion: 1 },
];

const say = (changes: Partial<Connection>, around: Surroundings = { provider: consent }): string =>
  advise(aConnection(changes), around);

describe('advice', () => {
  it('is one to four whole sentences for every status, reason, error, token and provider there can be', () => {
    const codes = [null, ...CONNECTION_CODES, 'of_another_release'];
    // Each is looked at without an `expect` of its own, which takes ten times as long.
    const wrong: string[] = [];
    for (const status of STATUSES)
      for (const statusReason of codes)
        for (const lastError of codes)
          for (const token of TOKENS)
            for (const provider of PROVIDERS) {
              const said = say({ ...token, status, statusReason, lastError }, { provider });
              const isWhole = /^[A-Z][^.]+(\. [A-Z][^.]+){0,3}\.$/.test(said);
              if (!isWhole || /undefined|null|NaN|Invalid| {2}|;;|,,|\.\./.test(said)) wrong.push(said);
            }
    expect(wrong.slice(0, 9)).toEqual([]);
  });

  it.each(CONNECTION_CODES)('has words of its own for %s, which stand in its document, too', (code) => {
    const { matter, remedy } = meaningOf(code);
    expect(CONNECTION_CODES.filter((other) => meaningOf(other).matter === matter)).toEqual([code]);
    const status = /^(revoked_by_operator|uninstalled)$/.test(code) ? 'revoked' : 'active';
    expect(say({ status, statusReason: status === 'active' ? null : code, lastError: code })).toContain(
      matter,
    );
    const rows = readFileSync('docs/connections.md', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith(`| \`${code}\` `));
    expect(rows.map((row) => row.split('|').map((cell) => cell.trim()))).toEqual([
      ['', `\`${code}\``, matter, remedy, ''],
    ]);
  });

  it('has a document that names no code that does not exist', () => {
    const named = [...readFileSync('docs/connections.md', 'utf8').matchAll(/^\| `([a-z_]+)` +\| [A-Z]/gm)];
    const codes: readonly string[] = CONNECTION_CODES;
    expect(named.map(([, code = '']) => code).filter((code) => !codes.includes(code))).toEqual([]);
  });

  it('says that all is well, until when, and when it is renewed', () => {
    expect(say({})).toBe(
      'All is well; its token is served until 2026-01-01T00:10:00Z, and it is renewed at 2026-01-01T00:06:40Z.',
    );
    expect(say({ expiresAt: null, renewAt: null })).toBe(
      'All is well; its token is served and never expires, so that nothing has to be renewed.',
    );
    expect(say({ ...NO_TOKEN, renewAt: NOW })).toBe(
      'All is well; it has no token yet, and it is renewed as soon as it can be.',
    );
    expect(say({ leaseUntil: inSeconds(9), renewAt: inSeconds(9) })).toMatch(/and a renewal is running\.$/);
  });

  it('names the time of the next try, and asks for nobody while the provider is away', () => {
    expect(say({ lastError: 'server_error', consecutiveFailures: 2, renewAt: inSeconds(8) })).toBe(
      'The provider failed with an error of its own; its token is served until 2026-01-01T00:10:00Z, ' +
        'and it is tried again at 2026-01-01T00:00:08Z. Nobody has to do anything unless it lasts: then ask the provider.',
    );
  });

  it('sends a seller to a link, and an operator to PUT where a person made the credential', () => {
    const dead = {
      status: 'reauthorization_required',
      statusReason: 'invalid_grant',
      lastError: 'invalid_grant',
    } as const;
    const link = 'POST /v1/connections/p/companies/42/authorize-link';
    expect(say({ ...dead, renewAt: null })).toBe(
      'The provider says that this grant is dead; its token is served until 2026-01-01T00:10:00Z, and nothing renews it. ' +
        `A seller has to connect again, on the link that ${link} makes.`,
    );
    const put = 'PUT /v1/connections/p/companies/42/locations/L1.';
    expect(say({ ...dead, locationId: 'L1', renewAt: null })).toMatch(new RegExp(`keep another: ${put}$`));
    const minted = say({ ...dead, locationId: 'L1' }, { provider: credential });
    expect(minted).toContain('it is tried again at 2026-01-01T00:06:40Z');
    expect(minted).toMatch(new RegExp(`or to keep another credential: ${put}$`));
    expect(say({ ...dead, renewAt: null, reportedVersion: 1 })).toContain('is not served');
  });

  it('says of a grant that has been dead for so long that its secrets are erased that they are', () => {
    const erased = { sealedGrant: null, sealedToken: null, renewAt: null, tokenVersion: 3 };
    const dead = { status: 'reauthorization_required', statusReason: 'invalid_grant' } as const;
    expect(say({ ...dead, ...erased })).toMatch(
      /is dead; its token is erased, and nothing renews it\. A seller/,
    );
  });

  it('says of a secret that a person made by when another is to be kept', () => {
    const byHand = { sealedGrant: null, renewAt: null };
    const put = 'PUT /v1/connections/p/companies/42.';
    expect(say(byHand, { provider: portal })).toBe(
      'All is well; its token is served until 2026-01-01T00:10:00Z, and nothing renews it. ' +
        `An operator has to keep another by 2026-01-01T00:10:00Z: ${put}`,
    );
    expect(say({ rotateBy: inSeconds(86_400) }, { provider: credential })).toMatch(
      new RegExp(`An operator has to keep another secret by 2026-01-02T00:00:00Z: ${put}$`),
    );
    expect(say({ rotateBy: inSeconds(60 * 86_400) }, { provider: credential })).not.toContain('operator');
    const reported = { ...byHand, status: 'suspect', statusReason: 'reported', reportedVersion: 1 } as const;
    expect(say(reported, { provider: portal })).toBe(
      'A caller was refused this token with a 401, and nothing renews it; its token is served until ' +
        '2026-01-01T00:10:00Z. An operator has to see whether it still works, and to keep another: ' +
        put,
    );
  });

  it('tells what failed after that for which it is suspected', () => {
    const suspect = {
      status: 'suspect',
      statusReason: 'refused_without_code',
      lastError: 'timed_out',
    } as const;
    expect(say(suspect)).toMatch(
      /^The provider refused the renewal and did not say why, and its last try failed \(the provider did not answer within its `timeout`\); its token/,
    );
  });

  it('says of a revoked one what the provider still accepts', () => {
    const gone = {
      status: 'revoked',
      statusReason: 'revoked_by_operator',
      sealedGrant: null,
      sealedToken: null,
      renewAt: null,
    } as const;
    expect(say({ ...gone, upstreamRevocation: 'owed' })).toContain('could not be told yet');
    expect(say({ ...gone, upstreamRevocation: 'unsupported' })).toContain('until 2026-01-01T00:10:00Z');
    expect(say({ ...gone, upstreamRevocation: 'revoked' })).not.toContain('accepts');
    expect(say({ ...gone, upstreamRevocation: 'unsupported', expiresAt: NOW })).not.toContain('accepts');
  });

  it('names what ends a rest of the provider, and what it changes nothing for is not told of it', () => {
    const dead = {
      status: 'reauthorization_required',
      statusReason: 'invalid_grant',
      renewAt: null,
    } as const;
    const told = {
      paused: 'POST /v1/providers/p/resume',
      misconfigured: 'correct its settings',
      mass_refusals: 'POST /v1/providers/p/revive',
      rate_limited: 'at 2026-01-01T00:15:00Z',
      unreachable: 'at 2026-01-01T00:15:00Z',
    };
    for (const because of CLOSED_BECAUSE) {
      const around = { provider: consent, heldBack: { because, until: inSeconds(900) } };
      expect(say({}, around)).toContain(told[because]);
      expect(say({ status: 'paused', renewAt: null }, around)).toContain('POST /v1/connections/id/resume');
      expect(say(dead, around)).toContain('authorize-link');
      expect(say(dead, around).includes('revive')).toBe(because === 'mass_refusals');
    }
  });
});

describe('the next try', () => {
  const at = (changes: Partial<Connection>, around: Surroundings = { provider: consent }): Date | null =>
    nextTryAt(aConnection(changes), around);

  it('is when the calendar says', () => {
    expect(at({})).toEqual(inSeconds(400));
    expect(at({ renewAt: inSeconds(-9) })).toEqual(inSeconds(-9));
    expect(at({ renewAt: null })).toBeNull();
  });

  it('is never for what is paused or revoked, without a grant, or of a provider that renews nothing or is not there', () => {
    expect(at({ status: 'paused' })).toBeNull();
    expect(at({ status: 'revoked' })).toBeNull();
    expect(at({ sealedGrant: null })).toBeNull();
    expect(at({}, { provider: portal })).toBeNull();
    expect(at({}, { provider: undefined })).toBeNull();
  });

  it('waits for the provider: for a person, or until its rest is over', () => {
    const held = (because: (typeof CLOSED_BECAUSE)[number], until: Date | null): Date | null =>
      at({}, { provider: consent, heldBack: { because, until } });
    expect([held('paused', null), held('mass_refusals', null)]).toEqual([null, null]);
    expect(held('unreachable', inSeconds(900))).toEqual(inSeconds(900));
    expect(held('rate_limited', inSeconds(5))).toEqual(inSeconds(400));
    expect(held('misconfigured', null)).toEqual(inSeconds(400));
  });

  it('is told in the advice wherever there is one', () => {
    for (const status of STATUSES)
      for (const provider of PROVIDERS)
        for (const heldBack of HELD_BACK) {
          const connection = aConnection({ status });
          const said = advise(connection, { provider, heldBack });
          if (nextTryAt(connection, { provider, heldBack }) === null)
            expect(said).not.toMatch(/(again|renewed) at/);
          else expect(said).toMatch(/(again|renewed) (at|as soon)|asked with one/);
        }
  });
});
