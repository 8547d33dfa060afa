import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Answer } from '../support/http.js';
import { useWorld, type LocalBroker } from '../support/world.js';

/** What a caller may be permitted to do, as requests that need just that; none changes what the others find. */
const REQUESTS = {
  'token:read': ['GET', '/v1/tokens/{resource}'],
  'token:report': ['POST', '/v1/tokens/{resource}/report', { version: 999, status: 401 }],
  'connection:write': ['PUT', '/v1/connections/{resource}', { username: 'x' }],
  'provider:admin': ['GET', '/v1/providers'],
  'client:admin': ['GET', '/v1/clients'],
  'audit:read': ['GET', '/v1/audit-events'],
} as const satisfies Record<string, readonly [string, string, unknown?]>;
type Action = keyof typeof REQUESTS;

const COMPANY = 'konnect/companies/42';
const LOCATION = 'konnect/companies/42/locations/7';
const OTHER_COMPANY = 'konnect/companies/43';
const OTHER_LOCATION = 'konnect/companies/43/locations/7';
const UNKNOWN = 'konnect/companies/unknown';
const UNKNOWN_PROVIDER = 'nothing/companies/42';
const RESOURCES = [COMPANY, LOCATION, OTHER_COMPANY, OTHER_LOCATION, UNKNOWN, UNKNOWN_PROVIDER] as const;

/** Who holds what, and on which resources it then may; whatever is not named here is refused. */
const CALLERS: readonly [held: readonly string[], may: Partial<Record<Action, readonly string[]>>][] = [
  [[], {}],
  [[`token:read ${COMPANY}`], { 'token:read': [COMPANY] }],
  [[`token:read ${LOCATION}`], { 'token:read': [LOCATION] }],
  [[`token:read ${COMPANY}/locations/*`], { 'token:read': [LOCATION] }],
  [[`token:read ${COMPANY}/**`], { 'token:read': [LOCATION] }],
  [['token:read konnect/companies/*'], { 'token:read': [COMPANY, OTHER_COMPANY, UNKNOWN] }],
  [['token:read */companies/*/locations/7'], { 'token:read': [LOCATION, OTHER_LOCATION] }],
  [['token:read konnect/**'], { 'token:read': [COMPANY, LOCATION, OTHER_COMPANY, OTHER_LOCATION, UNKNOWN] }],
  [[`token:report ${COMPANY}`], { 'token:report': [COMPANY] }],
  [[`connection:write ${LOCATION}`], { 'connection:write': [LOCATION] }],
  [
    [`token:read ${COMPANY}`, `token:report ${OTHER_LOCATION}`],
    { 'token:read': [COMPANY], 'token:report': [OTHER_LOCATION] },
  ],
  [[`* ${COMPANY}`], { 'token:read': [COMPANY], 'token:report': [COMPANY], 'connection:write': [COMPANY] }],
  [['provider:admin konnect/**', 'client:admin */**', 'audit:read konnect/companies/*'], {}],
  [['provider:admin **'], { 'provider:admin': ['**'] }],
  [['client:admin **'], { 'client:admin': ['**'] }],
  [['audit:read **'], { 'audit:read': ['**'] }],
  [['token:read **'], { 'token:read': RESOURCES }],
  [
    ['* **'],
    {
      'token:read': RESOURCES,
      'token:report': RESOURCES,
      'connection:write': RESOURCES,
      'provider:admin': ['**'],
      'client:admin': ['**'],
      'audit:read': ['**'],
    },
  ],
];

describe('a caller', () => {
  const world = useWorld();
  let broker: LocalBroker;

  beforeAll(async () => {
    broker = await world.local();
    for (const place of ['42', '42/locations/7', '43', '43/locations/7'])
      await world.keepKonnect(broker, place);
  });

  const attempt = async (key: string, action: Action, resource: string): Promise<Answer> => {
    const [method, path, body]: readonly [string, string, unknown?] = REQUESTS[action];
    return world.api(broker, method, path.replace('{resource}', resource), body, key);
  };
  const told = ({ status, body }: Answer): unknown => ({ status, ...body, request_id: null });

  it.each(CALLERS)('with %j may just what that says', async (held, may) => {
    const { key } = await world.client(broker, ...held);
    const refusals = new Map<Action, Set<string>>();
    for (const action of Object.keys(REQUESTS) as Action[]) {
      const resources = REQUESTS[action][1].includes('{resource}') ? RESOURCES : ['**'];
      for (const resource of resources) {
        const answer = await attempt(key, action, resource);
        const isPermitted = may[action]?.includes(resource) ?? false;
        expect([action, resource, answer.status !== 403]).toEqual([action, resource, isPermitted]);
        if (isPermitted) continue;
        const text = JSON.stringify(told(answer)).replace(resource, '{resource}');
        refusals.set(action, (refusals.get(action) ?? new Set()).add(text));
      }
    }
    // Whether there is such a company, location or provider: a refusal is the same for all, but for what was asked for.
    for (const [action, texts] of refusals) expect([action, texts.size]).toEqual([action, 1]);
  });
});
