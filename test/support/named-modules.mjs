/**
 * Loaded before a program (`node --import`): says on its standard error which packages it loads, and whether each is `packed`
 * or `installed`.
 */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

const told = new Set();

function tell(path, how) {
  const name = /.*node_modules\/((@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
  if (name === undefined || told.has(`${name} ${how}`)) return;
  told.add(`${name} ${how}`);
  process.stderr.write(`loaded ${name}: ${how}\n`);
}

registerHooks({
  load(url, context, next) {
    if (url.includes('/dist/packed/'))
      for (const path of JSON.parse(readFileSync(fileURLToPath(`${url}.map`), 'utf8')).sources)
        tell(path, 'packed');
    else tell(url, 'installed');
    return next(url, context);
  },
});
