/**
 * Loaded before a program (`node --import`): says on its standard error which packages of OpenTelemetry it loads; without the
 * interface alone, which prom-client asks for its own ends.
 */
import { registerHooks } from 'node:module';

const told = new Set(['@opentelemetry/api']);

registerHooks({
  load(url, context, next) {
    const name = /node_modules\/(@opentelemetry\/[\w-]+)\//.exec(url)?.[1];
    if (name && !told.has(name)) {
      told.add(name);
      process.stderr.write(`loaded ${name}\n`);
    }
    return next(url, context);
  },
});
