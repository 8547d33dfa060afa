import { beforeEach, describe, expect, it } from '@jest/globals';
import { BOTH, DISCOVERY, signingKey, SUBJECT, type Issuer, type SigningKey } from '../support/issuer.js';
import { useLog, useWorkloads } from '../support/workloads.js';

const UNAVAILABLE = [503, 'provider_unavailable', 10];

describe("an issuer's keys", () => {
  const workloads = useWorkloads();
  const log = useLog();
  let issuer: Issuer;

  beforeEach(() => {
    issuer = workloads.issuer;
  });

  it('are asked for once, however many need them', async () => {
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => workloads.verdict()));
    expect(new Set(verdicts)).toEqual(new Set([SUBJECT]));
    workloads.clock.advance(299);
    expect(await workloads.verdict()).toBe(SUBJECT);
    expect(workloads.asked()).toEqual(BOTH);
  });

  it('are asked for again where a token names one that is not among them, and only every 30 s', async () => {
    expect(await workloads.verdict()).toBe(SUBJECT);
    const strangers = await Promise.all([signingKey(), signingKey(), signingKey()]);
    workloads.asked();
    for (const stranger of strangers) expect(await workloads.verdict(stranger)).toBe(false);
    expect(workloads.asked()).toEqual([]);
    workloads.clock.advance(31);
    expect(await Promise.all(strangers.map((stranger) => workloads.verdict(stranger)))).toEqual([
      false,
      false,
      false,
    ]);
    for (const stranger of strangers) expect(await workloads.verdict(stranger)).toBe(false);
    expect(workloads.asked()).toEqual(BOTH);
    workloads.clock.advance(31);
    expect(await workloads.verdict(strangers[0])).toBe(false);
    expect(workloads.asked()).toEqual(BOTH);
  });

  it('may be new: the next token that is signed with one is believed', async () => {
    expect(await workloads.verdict()).toBe(SUBJECT);
    const old = issuer.key;
    workloads.clock.advance(31);
    await issuer.rotate({ keep: true });
    expect(await workloads.verdict()).toBe(SUBJECT);
    expect(await workloads.verdict(old)).toBe(SUBJECT);
  });

  it('may be withdrawn: what they signed is believed for five minutes more, and then for one', async () => {
    const old = issuer.key;
    const token = await issuer.token();
    expect(await workloads.verdictOn(token)).toBe(SUBJECT);
    await issuer.rotate();
    workloads.clock.advance(298);
    expect([await workloads.verdict(old), await workloads.verdictOn(token)]).toEqual([SUBJECT, SUBJECT]);
    workloads.clock.advance(3);
    expect([await workloads.verdict(old), await workloads.verdictOn(token)]).toEqual([false, SUBJECT]);
    workloads.clock.advance(58);
    expect(await workloads.verdictOn(token)).toBe(false);
    expect(await workloads.verdict()).toBe(SUBJECT);
  });

  it('may be several without a name, none of which is guessed at', async () => {
    const first = issuer.key;
    await issuer.rotate({ keep: true });
    const nameless = async (key: SigningKey): Promise<unknown> =>
      workloads.verdictOn(await issuer.token({}, { kid: undefined }, key));
    expect(await nameless(first)).toBe(false);
    issuer.keys = [first];
    workloads.clock.advance(301);
    expect(await nameless(first)).toBe(SUBJECT);
  });

  it('cannot be had while the issuer is down, which is no fault of the token; it is asked every 10 s', async () => {
    await issuer.down();
    expect(await workloads.verdict()).toEqual(UNAVAILABLE);
    await issuer.up();
    expect([await workloads.verdict(), await workloads.verdict()]).toEqual([UNAVAILABLE, UNAVAILABLE]);
    workloads.clock.advance(7.5);
    expect(await workloads.verdict()).toEqual([503, 'provider_unavailable', 3]);
    expect(workloads.asked()).toEqual([]);
    workloads.clock.advance(2.5);
    expect(await workloads.verdict()).toBe(SUBJECT);
    expect(workloads.asked()).toEqual(BOTH);
    expect(log).toEqual([
      `the keys of ${issuer.url} cannot be had: ${issuer.url}${DISCOVERY} could not be asked (ECONNREFUSED)`,
      `the keys of ${issuer.url} can be had again`,
    ]);
  });

  it('go on counting for an hour while the issuer is down; of others nobody can tell', async () => {
    expect(await workloads.verdict()).toBe(SUBJECT);
    const stranger = await signingKey();
    await issuer.down();
    for (const seconds of [301, 1_000, 1_000, 1_000]) {
      workloads.clock.advance(seconds);
      expect([await workloads.verdict(), await workloads.verdict(stranger)]).toEqual([SUBJECT, UNAVAILABLE]);
    }
    workloads.clock.advance(300);
    expect(await workloads.verdict()).toEqual(UNAVAILABLE);
    expect(log).toHaveLength(1);
    await issuer.up();
    workloads.clock.advance(10);
    expect([await workloads.verdict(), await workloads.verdict(stranger)]).toEqual([SUBJECT, false]);
  });

  it('do not keep a token waiting that has been believed already', async () => {
    const token = await issuer.token();
    expect(await workloads.verdictOn(token)).toBe(SUBJECT);
    await issuer.down();
    workloads.clock.advance(59);
    expect(await workloads.verdictOn(token)).toBe(SUBJECT);
  });

  it('may be those of an issuer with a path, and of several issuers, each for its own tokens', async () => {
    const other = await workloads.another();
    const iss = `${issuer.url}/clusters/one`;
    issuer.metadata = { issuer: iss };
    issuer.bent.set(`/clusters/one${DISCOVERY}`, (_, response) =>
      response.end(JSON.stringify({ issuer: iss, jwks_uri: `${issuer.url}/keys` })),
    );
    workloads.believe({ WORKLOAD_ISSUERS: `${iss}, ${other.url}` });
    expect(await workloads.verdictOn(await issuer.token({ iss }))).toBe(SUBJECT);
    expect(await workloads.verdictOn(await other.token())).toBe(SUBJECT);
    expect(await workloads.verdictOn(await other.token({ iss }, { kid: issuer.key.kid }))).toBe(false);
    expect(await workloads.verdictOn(await issuer.token({ iss: other.url }))).toBe(false);
  });
});
