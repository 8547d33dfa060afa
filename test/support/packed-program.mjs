/**
 * Loaded before a program of ours (`node --import`) that a test starts: it stands on the packages as they are packed for the
 * tests, since to load them one by one is most of what its start takes.
 */
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MODULES, requirePackages } from './packages.mjs';

const OURS = pathToFileURL(join(import.meta.dirname, '../../dist/')).href;

globalThis.packages = requirePackages();

registerHooks({
  resolve(name, context, next) {
    const packed = context.parentURL?.startsWith(OURS) && MODULES.get(name);
    return packed ? { url: pathToFileURL(packed).href, shortCircuit: true } : next(name, context);
  },
});
