import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const DEBIANS = '/usr/bin/chromium';

/** As root, and without anything of its own to say to anybody. */
const FLAGS = [
  '--no-sandbox',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  '--disable-dev-shm-usage',
];

/** How long a slow machine may take for one thing that a person would wait for, in milliseconds. */
export const PATIENCE_MS = 25_000;

/**
 * A real Chromium without a window: Debian's where it is installed, else the one that a package of the tests brings along, which
 * takes some seconds to unpack. Where neither runs, this throws, and what wanted it fails: nothing passes for want of a browser.
 */
export async function launchChromium(): Promise<Browser> {
  if (existsSync(DEBIANS)) return chromium.launch({ executablePath: DEBIANS, args: FLAGS, timeout: 60_000 });
  const { executablePath, environment } = await unpack();
  return chromium.launch({
    executablePath,
    args: [...FLAGS, '--no-zygote'],
    env: environment,
    timeout: 60_000,
  });
}

/** The package brings the libraries that a bare machine lacks only where it takes itself to be in the place that it is made for. */
async function unpack(): Promise<{ executablePath: string; environment: Record<string, string> }> {
  const before = { ...process.env };
  process.env['AWS_EXECUTION_ENV'] = 'AWS_Lambda_nodejs24.x';
  try {
    const { default: packed } = await import('@sparticuz/chromium');
    const executablePath = await packed.executablePath();
    const libraries = join(tmpdir(), 'al2023', 'lib');
    return {
      executablePath,
      environment: { ...(before as Record<string, string>), LD_LIBRARY_PATH: libraries },
    };
  } finally {
    for (const name of ['AWS_EXECUTION_ENV', 'LD_LIBRARY_PATH', 'FONTCONFIG_PATH']) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
