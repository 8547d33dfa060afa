import { describe, expect, it } from '@jest/globals';
import { redacted } from './redaction.js';

const SECRET = 'Zm9vYmFyLXNlY3JldA';
const KEY = `tbk_0123456789abcdef_${'s'.repeat(43)}`;

describe('a line without its secrets', () => {
  it.each([
    [
      'a service key, of which its public part is left',
      `refused ${KEY}`,
      'refused tbk_0123456789abcdef_[redacted]',
    ],
    ['a header', `Authorization: Bearer ${SECRET}`, 'Authorization: Bearer [redacted]'],
    ['basic credentials', `basic ${SECRET}==`, 'basic [redacted]'],
    ['a JWT', `got eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.${SECRET} from`, 'got [redacted] from'],
    [
      'a database address',
      `connect postgres://broker:${SECRET}@db:5432/broker`,
      'connect postgres://[redacted]@db:5432/broker',
    ],
    [
      'a query',
      `GET https://a.example/t?username=u&password=${SECRET}&x=1`,
      'GET https://a.example/t?username=u&password=[redacted]&x=1',
    ],
    [
      'a form',
      `grant_type=refresh_token&refresh_token=${SECRET}`,
      'grant_type=refresh_token&refresh_token=[redacted]',
    ],
    [
      'a callback',
      `/fp/auth?company_id=42&code=${SECRET}&state=${SECRET}`,
      '/fp/auth?company_id=42&code=[redacted]&state=[redacted]',
    ],
    ['JSON', `{"username":"u","password":"${SECRET}"}`, '{"username":"u","password":"[redacted]"}'],
    ['JSON with escapes in it', `{"client_secret": "a\\"${SECRET}"}`, '{"client_secret": "[redacted]"}'],
    [
      'JSON within JSON',
      `{"message":"got {\\"access_token\\":\\"${SECRET}\\",\\"a\\":1}"}`,
      '{"message":"got {\\"access_token\\":\\"[redacted]\\",\\"a\\":1}"}',
    ],
  ])('of %s', (_, line, left) => {
    expect(redacted(line)).toBe(left);
  });

  it.each([
    'fynd 5b9c7a52-5c0e-4d0e-9a52-0d6b3b8f8a11: renewed, version 7',
    'GET /v1/tokens/:provider/companies/:companyId 503 provider_unavailable 01a2b3',
    'the keys of 3 clients, the state of each and its code: invalid_grant',
    '{"level":"warn","message":"konnect: a consent could not be redeemed (timed_out)","context":"Consent"}',
  ])('is as it was where there is none: %s', (line) => expect(redacted(line)).toBe(line));
});
