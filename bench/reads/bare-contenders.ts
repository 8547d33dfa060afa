import { deepStrictEqual } from 'node:assert/strict';
import { Companion } from '../companion.js';
import type { CannedAnswer } from '../load/canned-answer.js';
import { type Contender, fetchAnswer, tokensOf } from './contender.js';
import type { SealedOrder } from './contenders/sealed-order.js';
import { POOL, type Readable } from './readable.js';

const PROGRAMS = {
  http: '../load/canned-server.js',
  fastify: './contenders/fastify-server.js',
  nest: './contenders/nest-server.js',
} as const;

/** Of whoever asks them: most look at none. */
const KEY = 'of-a-contender';

/** A server that answers always the same, and does it the same way for whoever asks. */
export async function startCanned(of: keyof typeof PROGRAMS, answer: CannedAnswer): Promise<Contender> {
  const program = Companion.start(new URL(PROGRAMS[of], import.meta.url));
  const port = await program.ask<number>({ ...answer });
  const contender = contenderAt(port, program);
  expectSame(of, await fetchAnswer(contender), answer);
  return contender;
}

/** A server that answers what lies in a database, with as little as that takes. */
export async function startSealed(readable: Readable, example: CannedAnswer): Promise<Contender> {
  return startOpening('./contenders/sealed-server.js', readable, example);
}

/** A server that opens what lies in its memory, with as little as that takes. */
export async function startLeast(readable: Readable, example: CannedAnswer): Promise<Contender> {
  return startOpening('./contenders/least-server.js', readable, example);
}

async function startOpening(
  of: string,
  { surroundings, sealKey }: Readable,
  example: CannedAnswer,
): Promise<Contender> {
  const program = Companion.start(new URL(of, import.meta.url));
  const order: SealedOrder = {
    databaseUrl: surroundings.databaseUrl,
    pool: POOL,
    sealKey: sealKey.export().toString('base64'),
    key: KEY,
    example,
  };
  const port = await program.ask<number>({ ...order });
  const contender = contenderAt(port, program);
  const [answered, wanted] = [await fetchAnswer(contender), example].map(({ body }) => ({
    ...(JSON.parse(body) as object),
    expires_in: 'seconds that have passed since',
  }));
  deepStrictEqual(answered, wanted, 'what is sealed is not opened to the same token');
  return contender;
}

function contenderAt(port: number, program: Companion): Contender {
  const url = tokensOf(`http://127.0.0.1:${port}`);
  return { url, keys: [KEY], pid: program.pid, stop: () => program.stop() };
}

/** Whoever writes fewer bytes has an easier race. */
function expectSame(of: string, answered: CannedAnswer, wanted: CannedAnswer): void {
  deepStrictEqual(sorted(answered), sorted(wanted), `${of} does not answer what it was told to`);
}

function sorted({ headers, ...rest }: CannedAnswer): object {
  return { ...rest, headers: Object.entries(headers).sort() };
}
