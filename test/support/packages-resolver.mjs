import { MODULES } from './packages.mjs';

/** What packages import of each other stays as it is: they may want another version. */
export function sync(name, options) {
  const isOurs = !options.basedir.includes('node_modules');
  return (isOurs && MODULES.get(name)) || options.defaultResolver(name, options);
}
