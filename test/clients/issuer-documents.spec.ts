import { rmSync } from 'node:fs';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { selfSigned } from '../support/certificate.js';
import { BOTH, DISCOVERY, SUBJECT, type Issuer } from '../support/issuer.js';
import { useLog, useWorkloads } from '../support/workloads.js';

const UNAVAILABLE = [503, 'provider_unavailable', 10];

describe("an issuer's keys", () => {
  const workloads = useWorkloads();
  const log = useLog();
  let issuer: Issuer;

  beforeEach(() => {
    issuer = workloads.issuer;
  });

  describe('are not taken', () => {
    async function refused(why: string): Promise<void> {
      expect(await workloads.verdict()).toEqual(UNAVAILABLE);
      expect(log).toEqual([`the keys of ${issuer.url} cannot be had: ${why}`]);
    }

    it.each(BOTH)('from where a redirect of %s leads', async (path) => {
      const other = await workloads.another();
      other.keys = issuer.keys;
      other.metadata = { issuer: issuer.url };
      issuer.bent.set(path, (_, response) =>
        response.writeHead(302, { location: `${other.url}${path}` }).end(),
      );
      await refused(`${issuer.url}${path} answered 302`);
      expect(other.requests).toEqual([]);
    });

    it.each<[string, (other: Issuer) => unknown]>([
      ['on another port', (other) => `${other.url}/keys`],
      ['of another scheme', () => `https://127.0.0.1:${issuer.port}/keys`],
      ['under another name', () => `http://localhost:${issuer.port}/keys`],
      ['in a file', () => 'file:///etc/hosts'],
      ['nowhere', () => undefined],
      ['in a list', () => [`${issuer.url}/keys`]],
    ])('from where discovery says that they are, %s', async (_, jwksUri) => {
      const other = await workloads.another();
      issuer.metadata = { jwks_uri: jwksUri(other) };
      await refused(
        `${issuer.url}${DISCOVERY} names no jwks_uri of the issuer's own origin: give its jwks_url in WORKLOAD_ISSUERS_FILE`,
      );
      expect([workloads.asked(), other.requests]).toEqual([[DISCOVERY], []]);
    });

    it('from an issuer that says that it is another', async () => {
      issuer.metadata = { issuer: `${issuer.url}/` };
      await refused(`${issuer.url}${DISCOVERY} is about another issuer`);
    });

    it.each<[string, string, string | Buffer]>([
      ['that are no JSON', 'did not answer in JSON', '<html>test-secret</html>'],
      ['that are no key set', 'holds no key set', '{"keys":"test-secret"}'],
      ['that do not end', 'answered too much', Buffer.alloc(300 * 1_024, ' ')],
    ])('%s', async (_, why, body) => {
      issuer.bent.set('/keys', (__, response) => response.end(body));
      await refused(`${issuer.url}/keys ${why}`);
    });

    it('without their length being known, from what does not end', async () => {
      issuer.bent.set('/keys', (_, response) => {
        const write = (): boolean => response.write(Buffer.alloc(64 * 1_024, ' '));
        response.on('drain', write);
        write();
      });
      await refused(`${issuer.url}/keys answered too much`);
    });

    it('from an issuer that takes its time, byte by byte', async () => {
      const timers: NodeJS.Timeout[] = [];
      issuer.bent.set('/keys', (_, response) => {
        timers.push(setInterval(() => response.write(' '), 200));
        response.on('close', () => timers.forEach(clearInterval));
      });
      await refused(`${issuer.url}/keys did not answer within 3 s`);
    });

    it('from an issuer that says nothing', async () => {
      issuer.bent.set(DISCOVERY, () => undefined);
      await refused(`${issuer.url}${DISCOVERY} did not answer within 3 s`);
    });
  });

  it('are asked for where the file says, and discovery is not', async () => {
    const elsewhere = await workloads.another();
    elsewhere.keys = issuer.keys;
    workloads.believeFile({ issuer: issuer.url, jwks_url: `${elsewhere.url}/keys` });
    expect(await workloads.verdict()).toBe(SUBJECT);
    expect([issuer.paths, elsewhere.paths]).toEqual([[], ['/keys']]);
  });

  it('are asked for past every proxy of the environment', async () => {
    const proxy = await workloads.another();
    const before = process.env;
    process.env = { ...before, http_proxy: proxy.url, HTTP_PROXY: proxy.url, no_proxy: '', NO_PROXY: '' };
    try {
      expect(await workloads.verdict()).toBe(SUBJECT);
    } finally {
      process.env = before;
    }
    expect([workloads.asked(), proxy.requests]).toEqual([BOTH, []]);
  });

  describe('of a cluster', () => {
    const certificate = selfSigned('127.0.0.1');

    beforeEach(async () => {
      await workloads.begin(certificate);
      issuer = workloads.issuer;
    });

    it('are believed by the authority of its own, and by no other', async () => {
      expect(await workloads.verdict()).toEqual(UNAVAILABLE);
      workloads.believeFile({
        issuer: issuer.url,
        ca_file: workloads.file('ca.crt', selfSigned('127.0.0.1').cert),
      });
      expect(await workloads.verdict()).toEqual(UNAVAILABLE);
      expect(workloads.asked()).toEqual([]);
      expect(log.join('\n')).toMatch(
        /could not be asked \((DEPTH_ZERO_SELF_SIGNED_CERT|CERT_SIGNATURE_FAILURE)\)/,
      );
      // The file is replaced, as the platform does it: no start is needed.
      workloads.file('ca.crt', certificate.cert);
      workloads.clock.advance(10);
      expect(await workloads.verdict()).toBe(SUBJECT);
    });

    it('are asked for with the token that it wants, as it is by then', async () => {
      issuer.wants = 'test-secret-monday';
      const token_file = workloads.file('token', 'test-secret-monday\n');
      workloads.believeFile({
        issuer: issuer.url,
        ca_file: workloads.file('ca.crt', certificate.cert),
        token_file,
      });
      expect(await workloads.verdict()).toBe(SUBJECT);
      expect(issuer.requests.map(({ authorization }) => authorization)).toEqual([
        'Bearer test-secret-monday',
        'Bearer test-secret-monday',
      ]);
      issuer.wants = 'test-secret-tuesday';
      await issuer.rotate();
      workloads.clock.advance(301);
      expect(await workloads.verdict()).toEqual(UNAVAILABLE);
      workloads.file('token', 'test-secret-tuesday');
      workloads.clock.advance(10);
      expect(await workloads.verdict()).toBe(SUBJECT);
      rmSync(token_file);
      await issuer.rotate();
      workloads.clock.advance(31);
      expect(await workloads.verdict()).toEqual(UNAVAILABLE);
      expect(log).toEqual([
        `the keys of ${issuer.url} cannot be had: ${issuer.url}${DISCOVERY} answered 401`,
        `the keys of ${issuer.url} can be had again`,
        `the keys of ${issuer.url} cannot be had: ${token_file} cannot be read (ENOENT)`,
      ]);
    });

    it('are asked for without any token where none is configured', async () => {
      workloads.believeFile({ issuer: issuer.url, ca_file: workloads.file('ca.crt', certificate.cert) });
      expect(await workloads.verdict()).toBe(SUBJECT);
      expect(issuer.requests.map(({ authorization }) => authorization)).toEqual([undefined, undefined]);
    });
  });
});
