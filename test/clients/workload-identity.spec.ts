import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SignJWT, UnsecuredJWT } from 'jose';
import type { Json } from '../support/http.js';
import { signingKey, SUBJECT, type Issuer } from '../support/issuer.js';
import { useLog, useWorkloads } from '../support/workloads.js';

const DAY = 86_400;

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

describe("a workload's token", () => {
  const workloads = useWorkloads();
  const log = useLog();
  let issuer: Issuer;

  beforeEach(() => {
    issuer = workloads.issuer;
  });

  const verdict = (token: string): Promise<unknown> => workloads.verdictOn(token);

  it('is believed where a configured issuer has signed it for the broker', async () => {
    const exp = inSeconds(600);
    const token = await issuer.token({ exp });
    expect(workloads.identity.looksLikeJwt(token)).toBe(true);
    expect(await workloads.identity.verify(token)).toEqual({
      issuer: issuer.url,
      subject: SUBJECT,
      expiresAt: new Date(exp * 1_000),
    });
    expect(issuer.paths).toEqual(['/.well-known/openid-configuration', '/keys']);
  });

  it.each([
    ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
    ...['ES256', 'ES384', 'ES512', 'EdDSA'],
  ])('may be signed by %s', async (alg) => {
    await issuer.rotate({ alg });
    expect(await verdict(await issuer.token())).toBe(SUBJECT);
  });

  it.each<[string, Json]>([
    ['is for the broker alone', { aud: 'token-broker' }],
    ['is for others, too', { aud: ['https://kubernetes.default.svc', 'token-broker'] }],
    ['says neither since when nor from when', { iat: undefined, nbf: undefined }],
    ['lives for 24 h', { exp: inSeconds(DAY) }],
    ['comes from a clock that is a little ahead', { iat: inSeconds(3), nbf: inSeconds(3) }],
  ])('is believed where it %s', async (_, claims) => {
    expect(await verdict(await issuer.token(claims))).toBe(SUBJECT);
  });

  it.each<[string, Json]>([
    ['is for somebody else', { aud: ['https://kubernetes.default.svc'] }],
    ['is for a name that begins as ours does', { aud: 'token-broker.evil.example' }],
    ['is for nobody', { aud: undefined }],
    ['is for no list of names', { aud: { 'token-broker': true } }],
    ['has no end', { exp: undefined }],
    ['has an end that is no time', { exp: String(inSeconds(60)) }],
    ['has an end that no date reaches', { exp: 1e300 }],
    ['lives for longer than 24 h', { exp: inSeconds(DAY + 60) }],
    ['has expired', { exp: inSeconds(-1) }],
    ['is not good yet', { nbf: inSeconds(30) }],
    ['was issued in the future', { iat: inSeconds(30) }],
    ['was issued at no time', { iat: 'today' }],
    ['names nobody', { sub: undefined }],
    ['names nobody in so many words', { sub: '' }],
    ['names a number', { sub: 42 }],
    ['names somebody with a NUL in the name', { sub: 'storefront\0' }],
    ['names somebody with half a character', { sub: 'storefront\ud800' }],
    ['names somebody at too great a length', { sub: 's'.repeat(513) }],
  ])('is not believed where it %s', async (_, claims) => {
    expect(await verdict(await issuer.token(claims))).toBe(false);
  });

  it('is believed until its end, and not a second longer', async () => {
    const token = await issuer.token({ exp: inSeconds(30) });
    expect(await verdict(token)).toBe(SUBJECT);
    workloads.clock.advance(28);
    expect(await verdict(token)).toBe(SUBJECT);
    workloads.clock.advance(2);
    expect(await verdict(token)).toBe(false);
    workloads.believe({ WORKLOAD_ISSUERS: issuer.url });
    expect(await verdict(token)).toBe(false);
  });

  it('is believed from when it is good, by the clock of the broker', async () => {
    const token = await issuer.token({ nbf: inSeconds(60), iat: inSeconds(60) });
    expect(await verdict(token)).toBe(false);
    workloads.clock.advance(60);
    expect(await verdict(token)).toBe(SUBJECT);
  });

  it('is not believed where it was signed by no key of its issuer', async () => {
    const stranger = await signingKey();
    expect(await verdict(await issuer.token({}, { kid: issuer.key.kid }, stranger))).toBe(false);
    expect(await verdict(await issuer.token({}, {}, stranger))).toBe(false);
  });

  it('is not believed where a character of it was changed', async () => {
    const [header, , signature] = (await issuer.token()).split('.');
    const forged = encoded({ iss: issuer.url, sub: 'admin', aud: 'token-broker', exp: inSeconds(60) });
    expect(await verdict([header, forged, signature].join('.'))).toBe(false);
    const other = `${signature?.startsWith('A') ? 'B' : 'A'}${signature?.slice(1)}`;
    expect(await verdict([...(await issuer.token()).split('.').slice(0, 2), other].join('.'))).toBe(false);
  });

  it('is not believed where nobody signed it, or anybody could', async () => {
    const { jwk, kid } = issuer.key;
    const claims = { iss: issuer.url, sub: SUBJECT, aud: 'token-broker', exp: inSeconds(60) };
    const unsigned = new UnsecuredJWT(claims).encode();
    expect(await verdict(unsigned)).toBe(false);
    expect(await verdict(`${encoded({ alg: 'none', kid })}.${encoded(claims)}.AAAA`)).toBe(false);
    const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    for (const secret of [pem, JSON.stringify(jwk), jwk.n ?? '']) {
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'HS256', kid })
        .sign(Buffer.from(secret));
      expect(await verdict(token)).toBe(false);
    }
    // Judged by its algorithm alone: nobody was asked for a key.
    expect(issuer.requests).toEqual([]);
  });

  it('is not believed where its key is too short to be safe', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
    const short = { ...(await signingKey()), jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'short' } };
    issuer.keys.push(short);
    const claims = { iss: issuer.url, sub: SUBJECT, aud: 'token-broker', exp: inSeconds(60) };
    const signed = `${encoded({ alg: 'RS256', kid: 'short' })}.${encoded(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), privateKey).toString('base64url');
    expect(await verdict(`${signed}.${signature}`)).toBe(false);
    expect(issuer.paths).toContain('/keys');
  });

  it('is not believed where its issuer is not configured to the letter, and nobody is asked', async () => {
    const stranger = await workloads.another();
    const { port } = issuer;
    const names = [
      `${issuer.url}/`,
      `http://localhost:${port}`,
      `HTTP://127.0.0.1:${port}`,
      '',
      [issuer.url],
    ];
    for (const iss of names) expect(await verdict(await issuer.token({ iss }))).toBe(false);
    expect(await verdict(await issuer.token({ iss: undefined }))).toBe(false);
    expect(await verdict(await stranger.token())).toBe(false);
    expect([issuer.requests, stranger.requests]).toEqual([[], []]);
  });

  it('is nothing where no issuer is configured', async () => {
    workloads.believe({});
    expect(await verdict(await issuer.token())).toBe(false);
    expect(issuer.requests).toEqual([]);
  });

  describe('that says where its key is', () => {
    let attacker: Server;
    let asked = 0;

    beforeAll(async () => {
      attacker = createServer((_, response) => {
        asked += 1;
        response.end();
      });
      attacker.listen(0, '127.0.0.1');
      await once(attacker, 'listening');
    });
    afterAll(() => void attacker.close());

    it.each(['jku', 'x5u', 'jwk', 'x5c'])('is not believed, and %s is not looked at', async (name) => {
      const key = await signingKey();
      const url = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}/keys`;
      const values: Json = { jku: url, x5u: url, jwk: key.jwk, x5c: [key.jwk.n] };
      for (const kid of [key.kid, issuer.key.kid]) {
        const header = { kid, [name]: values[name] };
        expect(await verdict(await issuer.token({}, header, key))).toBe(false);
      }
      expect(asked).toBe(0);
    });

    it('is believed for the key of its issuer, whatever else it says', async () => {
      const jku = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}/keys`;
      expect(await verdict(await issuer.token({}, { jku }))).toBe(SUBJECT);
      expect(asked).toBe(0);
    });
  });

  it('is not even read where it is longer than 16 KB', async () => {
    const token = await issuer.token({ more: 'x'.repeat(16 * 1_024) });
    expect(await verdict(token)).toBe(false);
    expect(issuer.requests).toEqual([]);
  });

  it('is refused for a reason that operators can look up, in words that are none of its own', async () => {
    const prefix = "a workload's token is not believed: ";
    await verdict(await issuer.token({ aud: 'other' }));
    await verdict(await issuer.token({ iss: 'https://x.example/\nforged line' }));
    await verdict(await issuer.token({ exp: inSeconds(-1) }));
    await verdict(
      `${encoded({ alg: 'RS256', crit: ['\nforged line'] })}.${encoded({ iss: issuer.url })}.AAAA`,
    );
    expect(log).toEqual([
      `${prefix}ERR_JWT_CLAIM_VALIDATION_FAILED (aud)`,
      `${prefix}its issuer is none of those that are configured`,
      `${prefix}it has expired`,
      `${prefix}ERR_JOSE_NOT_SUPPORTED`,
    ]);
  });

  it('can be anything', async () => {
    const { url: iss } = issuer;
    const texts = [
      '',
      '.',
      '..',
      'a.b.c',
      'a.b',
      `${encoded({ alg: 'RS256' })}.${encoded('text')}.AAAA`,
      `${encoded({ alg: 'RS256' })}.${encoded(null)}.AAAA`,
      `${encoded([])}.${encoded({ iss })}.AAAA`,
      `${encoded({ alg: 'RS256', crit: ['exp'] })}.${encoded({ iss })}.AAAA`,
      `${encoded({ alg: 'RS256', b64: false, crit: ['b64'] })}.${encoded({ iss })}.AAAA`,
      `${encoded({ alg: ['RS256'], kid: {} })}.${encoded({ iss })}.AAAA`,
      `${encoded({ alg: 'RS256', kid: {} })}.${encoded({ iss })}.AAAA`,
      `${encoded({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
    ];
    for (const text of texts) expect([text, await verdict(text)]).toEqual([text, false]);
  });

  it('is told by its form from a key', () => {
    for (const text of ['tbk_abc', 'a.b', 'a.b.c.d', 'a.b.', 'a.b.c=', 'a b.c.d', ''])
      expect([text, workloads.identity.looksLikeJwt(text)]).toEqual([text, false]);
  });
});
