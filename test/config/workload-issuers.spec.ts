import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Environment } from '../../src/config/environment.js';
import { readSettings, type Settings } from '../../src/config/settings.js';
import { selfSigned } from '../support/certificate.js';
import { LEAST, mistakes } from '../support/providers-reader.js';

type Variables = Record<string, string>;

const CLUSTER = 'https://kubernetes.default.svc.cluster.local';
const OTHER = 'https://idp.example/realms/one/';
const NONE = { caFile: null, tokenFile: null, jwksUrl: null };

describe('the issuers of workloads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-issuers-'));
  const path = join(folder, 'issuers.yaml');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function file(name: string, content: string): string {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  }

  const ca_file = file('ca.crt', selfSigned('127.0.0.1').cert);
  const token_file = file('token', 'test-secret-token\n');

  const read = (variables: Variables): Settings['workloadIssuers'] =>
    readSettings(new Environment({ ...LEAST, ...variables })).workloadIssuers;

  /** As read from a file that holds this; JSON is YAML. */
  function readFile(content: unknown, variables: Variables = {}): Settings['workloadIssuers'] {
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return read({ WORKLOAD_ISSUERS_FILE: path, ...variables });
  }

  it('are none by default', () => {
    expect(read({})).toEqual([]);
    expect(read({ WORKLOAD_ISSUERS: '' })).toEqual([]);
    expect(readFile({ issuers: [] })).toEqual([]);
  });

  it('are kept to the letter, since that is how a token names them', () => {
    expect(read({ WORKLOAD_ISSUERS: ` ${CLUSTER} ,${OTHER},, https://IDP.example:443` })).toEqual([
      { issuer: CLUSTER, ...NONE },
      { issuer: OTHER, ...NONE },
      { issuer: 'https://IDP.example:443', ...NONE },
    ]);
  });

  it('may have what a cluster wants, in a file', () => {
    const jwks_url = 'https://10.0.0.1:6443/openid/v1/jwks?of=one';
    expect(
      readFile({ issuers: [{ issuer: CLUSTER, ca_file, token_file, jwks_url }, { issuer: OTHER }] }),
    ).toEqual([
      { issuer: CLUSTER, caFile: ca_file, tokenFile: token_file, jwksUrl: jwks_url },
      { issuer: OTHER, ...NONE },
    ]);
  });

  it('may stand in both, and then are as the file says', () => {
    const both = readFile(
      { issuers: [{ issuer: CLUSTER, ca_file }] },
      { WORKLOAD_ISSUERS: `${OTHER},${CLUSTER}` },
    );
    expect(both).toEqual([
      { issuer: OTHER, ...NONE },
      { issuer: CLUSTER, ...NONE, caFile: ca_file },
    ]);
  });

  it('may be private, plain on loopback, and plain anywhere where that is said or nothing is at stake', () => {
    const issuers = 'http://127.0.0.1:9000,http://localhost,http://[::1]:9000,https://10.0.0.1:6443';
    expect(read({ WORKLOAD_ISSUERS: issuers })).toHaveLength(4);
    const WORKLOAD_ISSUERS = 'http://issuer:9000';
    expect(read({ WORKLOAD_ISSUERS, ALLOW_INSECURE_HTTP: 'true' })).toHaveLength(1);
    expect(read({ WORKLOAD_ISSUERS, NODE_ENV: 'development' })).toHaveLength(1);
  });

  it('are no secret that a line would quote, and each mistake is one', () => {
    const variables = {
      WORKLOAD_ISSUERS: 'https://u:test-secret@idp.example,no address,https://a.example?b=c',
    };
    const wrong = (): unknown => readFile({ issuers: [{ issuer: 'http://x.example' }] }, variables);
    const address = 'issuer must be an http(s) address without user, query or fragment';
    expect(mistakes(wrong)).toEqual([
      `WORKLOAD_ISSUERS: entry 1: ${address}`,
      `WORKLOAD_ISSUERS: entry 2: ${address}`,
      `WORKLOAD_ISSUERS: entry 3: ${address}`,
      expect.stringContaining(`${path}: entry 1: issuer is plain http`),
    ]);
  });

  const HOLDS = `${path}: must hold "issuers:" alone, and under it a list`;
  const PLAIN =
    'is plain http, where anyone on the way could put in keys of their own: use https, or set ALLOW_INSECURE_HTTP=true';
  const one = (more: object): unknown => ({ issuers: [{ issuer: CLUSTER, ...more }] });
  it.each<[unknown, string]>([
    ['issuers: [', `${path}: line 1: not YAML (BAD_INDENT)`],
    ['', HOLDS],
    ['- a', HOLDS],
    ['issuers: {}', HOLDS],
    [{ issuers: [], more: 1 }, HOLDS],
    [{ issuers: [CLUSTER] }, `${path}: entry 1: must be a map with an issuer`],
    [{ issuers: [null] }, `${path}: entry 1: must be a map with an issuer`],
    [{ issuers: [[]] }, `${path}: entry 1: must be a map with an issuer`],
    [
      { issuers: [{ ca_file }] },
      `${path}: entry 1: issuer must be an http(s) address without user, query or fragment`,
    ],
    [
      { issuers: [{ issuer: CLUSTER }, { issuer: OTHER }, { issuer: CLUSTER }] },
      `${path}: entry 3: its issuer stands there twice`,
    ],
    [one({ audience: 'other' }), `${path}: entry 1: audience is no setting of this kind`],
    [one({ ca_file: '' }), `${path}: entry 1: ca_file should not be empty`],
    [one({ ca_file: '/nowhere/ca.crt' }), `${path}: entry 1: ca_file: cannot read /nowhere/ca.crt (ENOENT)`],
    [one({ ca_file: token_file }), `${path}: entry 1: ca_file: ${token_file} holds no certificate in PEM`],
    [one({ token_file: 42 }), `${path}: entry 1: token_file must be a string`],
    [one({ token_file: folder }), `${path}: entry 1: token_file: cannot read ${folder} (EISDIR)`],
    [
      one({ token_file: file('empty', '\n') }),
      `${path}: entry 1: token_file: ${join(folder, 'empty')} is empty`,
    ],
    [
      one({ jwks_url: '/openid/v1/jwks' }),
      `${path}: entry 1: jwks_url must be an http(s) address without user or fragment`,
    ],
    [one({ jwks_url: 'http://10.0.0.1/jwks' }), `${path}: entry 1: jwks_url ${PLAIN}`],
  ])('cannot be written as %j', (content, line) => {
    expect(mistakes(() => readFile(content))).toEqual([line]);
  });

  it('need their file to be there', () => {
    expect(mistakes(() => read({ WORKLOAD_ISSUERS_FILE: '/nowhere/issuers.yaml' }))).toEqual([
      'WORKLOAD_ISSUERS_FILE: cannot read /nowhere/issuers.yaml (ENOENT)',
    ]);
  });
});
