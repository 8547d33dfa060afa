import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

/** One folder for all that run at once: whoever has unpacked first has it, and half of a browser is seen by nobody. */
const UNPACKED = join(tmpdir(), 'token-broker-chromium');

const UNPACK = `import chromium from '@sparticuz/chromium'; await chromium.executablePath();`;

async function unpack(): Promise<{
  executablePath: string;
  environment: Record<string, string | undefined>;
}> {
  if (!existsSync(UNPACKED)) {
    const folder = await mkdtemp(`${UNPACKED}-`);
    // It unpacks into the folder for what is temporary, and the libraries that a bare machine lacks only where it takes
    // itself to be in the place that it is made for.
    const env = { ...process.env, TMPDIR: folder, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x' };
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', UNPACK], { env });
    // Somebody else may have been faster.
    await rename(folder, UNPACKED).catch(() => rm(folder, { recursive: true }));
  }
  const environment = { ...process.env, LD_LIBRARY_PATH: join(UNPACKED, 'al2023', 'lib') };
  return { executablePath: join(UNPACKED, 'chromium'), environment };
}
