import { ask, type Answer } from './http.js';
import { ADMIN_KEY } from './world.js';

type Ways = Record<string, () => Promise<Answer>>;

/** A way to every success of the console's own routes, by the ids of their operations; and to the errors of some. */
export function describedConsole(api: () => string): { successes: Ways; errors: Ways } {
  const look = (path: string) => () => ask('GET', `${api()}/console${path}`);
  const session = (method: string, headers: Record<string, string>): Promise<Answer> =>
    ask(method, `${api()}/console/session`, headers);
  return {
    successes: {
      consolePage: look(''),
      consoleProgram: look('/console.js'),
      consoleStyle: look('/console.css'),
      consoleSessionShow: look('/session'),
      consoleSessionOpen: () => session('POST', { authorization: `Bearer ${ADMIN_KEY}`, origin: api() }),
      consoleSessionEnd: () => session('DELETE', { origin: api() }),
    },
    errors: {
      consoleSessionOpen: () => session('POST', {}),
      consoleSessionEnd: () => session('DELETE', {}),
    },
  };
}
