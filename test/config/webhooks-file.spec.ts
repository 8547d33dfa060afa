import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { Environment } from '../../src/config/environment.js';
import { ConfigurationError } from '../../src/config/mistakes.js';
import { readWebhooks, type WebhookReceiver } from '../../src/config/webhooks-file.js';
import { EVENT_TYPES } from '../../src/shared/event-types.js';
import { aWebhookSecret } from '../support/webhook-receiver.js';

const PRODUCTION = { production: true, allowInsecureHttp: false };
const SECRET = aWebhookSecret();
const OTHER = aWebhookSecret();

describe('WEBHOOKS_FILE', () => {
  const folder = mkdtempSync(join(tmpdir(), 'token-broker-test-'));
  const path = join(folder, 'webhooks.yaml');
  const environments: Environment[] = [];

  afterEach(() => environments.splice(0).forEach((environment) => environment.close()));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function read(
    text: string,
    variables: Record<string, string> = {},
    around = PRODUCTION,
  ): readonly WebhookReceiver[] {
    writeFileSync(path, text);
    const environment = new Environment({ WEBHOOKS_FILE: path, ...variables });
    environments.push(environment);
    return readWebhooks(environment, around)?.current ?? [];
  }

  /** Each without the file's name. */
  function mistakes(text: string, variables: Record<string, string> = {}, around = PRODUCTION): string[] {
    try {
      read(text, variables, around);
    } catch (error) {
      if (error instanceof ConfigurationError)
        return error.lines.map((line) => line.replaceAll(path, 'file'));
      throw error;
    }
    return [];
  }

  it('names receivers, what they are told, and the secrets that vouch for it', () => {
    const [ops, audit, ...rest] = read(
      `webhooks:
  - { name: ops, url: 'https://\${HOST:-ops.example}/hooks?team=1', secret: '\${SECRET}', events: [provider.*, connection.suspect] }
  - url: https://Audit.Example:8443/
    secrets: [ '\${SECRET}', ${OTHER} ]
    allow_private: true
`,
      { SECRET },
    );
    expect(rest).toEqual([]);
    expect(ops).toMatchObject({ name: 'ops', url: 'https://ops.example/hooks?team=1', allowPrivate: false });
    expect(ops?.secrets.map((secret) => secret.reveal())).toEqual([SECRET]);
    expect(ops?.events).toEqual(['connection.suspect', 'provider.misconfigured', 'provider.recovered']);
    expect(audit).toMatchObject({ name: 'audit.example-8443', allowPrivate: true, events: EVENT_TYPES });
    expect(audit?.secrets.map((secret) => secret.reveal())).toEqual([SECRET, OTHER]);
  });

  it('may call its list what it is, or be nothing but the list; or there is none', () => {
    const entry = `- { url: https://ops.example, secret: ${SECRET} }`;
    for (const text of [`webhooks:\n  ${entry}`, `receivers:\n  ${entry}`, entry])
      expect(read(text).map(({ name }) => name)).toEqual(['ops.example']);
    expect(read('webhooks: []')).toEqual([]);
    expect(readWebhooks(new Environment({}), PRODUCTION)).toBeNull();
  });

  it('takes a secret from a file of its own', () => {
    const file = join(folder, 'secret');
    writeFileSync(file, `${SECRET}\n`);
    const [ops] = read(`webhooks: [{ url: https://ops.example, secret: '\${OPS}' }]`, { OPS_FILE: file });
    expect(ops?.secrets[0]?.reveal()).toBe(SECRET);
  });

  it.each([
    ['nothing: []', 'file: must hold "webhooks:" alone, and under it a list'],
    ['webhooks: {}', 'file: must hold "webhooks:" alone, and under it a list'],
    ['webhooks: [1]', 'file: receiver 1: must be a map with a url and a secret'],
    [
      `webhooks: [{ secret: ${SECRET} }]`,
      'file: receiver 1: url must be an http(s) address without user or fragment',
    ],
    [
      `webhooks: [{ url: 'ftp://x', secret: ${SECRET} }]`,
      'file: receiver 1: url must be an http(s) address without user or fragment',
    ],
    [
      `webhooks: [{ url: 'https://u:p@x', secret: ${SECRET} }]`,
      'file: receiver 1: url must be an http(s) address without user or fragment',
    ],
    ['webhooks: [{ url: https://x }]', /^file: receiver 1: secret must be given: make one with: /],
    [
      'webhooks: [{ url: https://x, secret: plain }]',
      /^file: receiver 1: secret must be whsec_ and base64 of 24 to 64 bytes/,
    ],
    [
      `webhooks: [{ url: https://x, secret: whsec_c2hvcnQ= }]`,
      /^file: receiver 1: secret must be whsec_ and base64/,
    ],
    [`webhooks: [{ url: https://x, secrets: [${SECRET}, x] }]`, /^file: receiver 1: secrets must be whsec_/],
    [`webhooks: [{ url: https://x, secrets: [] }]`, /^file: receiver 1: secrets /],
    [
      `webhooks: [{ url: https://x, secrets: [${SECRET}, ${SECRET}, ${SECRET}] }]`,
      'file: receiver 1: secrets must be one, or the new one and the old one',
    ],
    [
      `webhooks: [{ url: https://x, secret: ${SECRET}, secrets: [${SECRET}] }]`,
      'file: receiver 1: secret and secrets are both given: keep one',
    ],
    [
      `webhooks: [{ url: https://x, secret: ${SECRET}, events: [] }]`,
      'file: receiver 1: events must name some, or be left out for all',
    ],
    [
      `webhooks: [{ url: https://x, secret: ${SECRET}, events: [connection.lost] }]`,
      'file: receiver 1: events: there is no connection.lost',
    ],
    [
      `webhooks: [{ url: https://x, secret: ${SECRET}, name: A b }]`,
      'file: receiver 1: name must be 1 to 63 of a-z 0-9 . _ -',
    ],
    [
      `webhooks: [{ url: https://x, secret: ${SECRET}, retries: 3 }]`,
      'file: receiver 1: retries is no setting of this kind',
    ],
    [`webhooks: [{ url: https://x, secret: '\${NOT_SET}' }]`, 'file: receiver 1: NOT_SET is not set'],
    [
      `webhooks: [{ url: https://x, secret: '\${oops' }]`,
      'file: receiver 1: ${NAME} or ${NAME:-default} is mistyped',
    ],
    [
      `webhooks: [{ url: 'http://ops.example', secret: ${SECRET} }]`,
      /^file: receiver 1: url is plain http, /,
    ],
    [
      `webhooks: [{ url: 'https://10.0.0.7', secret: ${SECRET} }]`,
      'file: receiver 1: url is a private address: set allow_private: true if that is meant',
    ],
  ])('is refused: %s', (text, line) => {
    expect(mistakes(text)).toEqual([typeof line === 'string' ? line : expect.stringMatching(line)]);
  });

  it('tells every mistake of every receiver, and none of its secrets', () => {
    const lines = mistakes(
      `webhooks:
  - { url: 'http://10.0.0.7', secret: test-secret-plain }
  - { url: https://ops.example, secret: ${SECRET} }
  - { url: https://ops.example/other, secret: ${SECRET} }
`,
    );
    expect(lines.map((line) => line.replace(/(: \S+).*/, '$1'))).toEqual([
      'file: receiver',
      'file: receiver',
      'file: receiver',
      'file: receiver',
    ]);
    expect(lines[3]).toBe(
      'file: receiver 3: another is called "ops.example", too: give each a name of its own',
    );
    expect(lines.join()).not.toMatch(/test-secret|whsec_[A-Za-z0-9]/);
  });

  it('allows what is open or private where that is meant', () => {
    const open = `webhooks: [{ url: 'http://ops.example', secret: ${SECRET} }]`;
    expect(mistakes(open, {}, { ...PRODUCTION, allowInsecureHttp: true })).toEqual([]);
    expect(mistakes(open, {}, { ...PRODUCTION, production: false })).toEqual([]);
    expect(mistakes(`webhooks: [{ url: 'http://127.0.0.1:9', secret: ${SECRET} }]`)).toEqual([]);
    expect(
      mistakes(`webhooks: [{ url: 'https://10.0.0.7', secret: ${SECRET}, allow_private: true }]`),
    ).toEqual([]);
  });
});
