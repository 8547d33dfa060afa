import { ask, type Answer } from './http.js';
import { ADMIN_KEY } from './world.js';

type Ways = Record<string, () => Promise<Answer>>;

/** A way to every success of the routes of the console and of the API's page, by the ids of their operations; and to the errors of some. */
export function describedPages(api: () => string): { successes: Ways; errors: Ways } {
  const look = (path: string) => () => ask('GET', `${api()}${path}`);
  const session = (method: string, headers: Record<string, string>): Promise<Answer> =>
    ask(method, `${api()}/console/session`, headers);
  return {
    successes: {
      docsOpenapi: look('/openapi.json'),
      docsPage: look('/docs'),
      docsStart: look('/docs/start.js'),
      docsProgram: look('/docs/swagger-ui-bundle.js'),
      docsStyle: look('/docs/swagger-ui.css'),
      consolePage: look('/console'),
      consoleProgram: look('/console/console.js'),
      consoleStyle: look('/console/console.css'),
      consoleSessionShow: look('/console/session'),
      consoleSessionOpen: () => session('POST', { authorization: `Bearer ${ADMIN_KEY}`, origin: api() }),
      consoleSessionEnd: () => session('DELETE', { origin: api() }),
    },
    errors: {
      consoleSessionOpen: () => session('POST', {}),
      consoleSessionEnd: () => session('DELETE', {}),
    },
  };
}
