/**
 * Loaded before a program of ours (`node --import`) that a test starts: it stands on the packages as they are packed for the
 * tests, since to load them one by one is most of what its start takes.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MODULES, requirePackages } from './packages.mjs';

const OURS = pathToFileURL(join(import.meta.dirname, '../../dist/')).href;
/** The service is packed itself. */
const SERVICE = `${OURS}packed/`;

const isOurs = (url = '') => url.startsWith(OURS) && !url.startsWith(SERVICE);

registerHooks({
  resolve(name, context, next) {
    const packed = isOurs(context.parentURL) && MODULES.get(name);
    if (!packed) return next(name, context);
    globalThis.packages ??= requirePackages();
    return { url: pathToFileURL(packed).href, shortCircuit: true };
  },
});
