import { setTimeout as sleep } from 'node:timers/promises';
import { Companion } from '../companion.js';
import { askAsOperator, makeKeys } from '../engine/operator.js';
import { BrokerChild } from '../engine/broker-child.js';
import { onStage } from '../engine/stage.js';
import { PROVIDER } from '../engine/surroundings.js';
import type { Finding } from '../findings.js';
import type { CannedAnswer } from '../load/canned-answer.js';
import { Generator, totalOf } from '../load/generator.js';
import type { Load, LoadOrder } from '../load/order.js';
import type { Options } from '../options.js';
import type { Progress } from '../progress.js';

const ROUNDS = 4;
const SECONDS = 4;
/** Strangers come this much earlier and stay this much longer. */
const MARGIN_S = 0.5;
const CALLER_CONNECTIONS = 4;
const STRANGER_CONNECTIONS = 8;
const PATH = `/companies/1`;

const CANNED_SERVER = new URL('../load/canned-server.js', import.meta.url);
const REFUSAL: CannedAnswer = {
  status: 429,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({ status: 429, code: 'rate_limited', detail: 'x'.repeat(160) }),
};

/** Requests a second of each round. */
interface Rates {
  readonly alone: number[];
  readonly beside: number[];
  /** Beside as many strangers that call somebody else: what is lost then is the machine's, not the broker's. */
  readonly control: number[];
}

/** The two sides, each in a process of its own. */
interface Sides {
  readonly caller: Generator;
  readonly strangers: Generator;
}

/** What strangers cost a caller that is known: it reads a token alone, and while they try keys that were never issued. */
export async function benchStrangers(_: Options, progress: Progress): Promise<Finding[]> {
  return onStage({ durable: false }, async ({ folder, simulatorUrl, database }) => {
    const caps = { ratePerSecond: 100, concurrency: 4 };
    const surroundings = { folder, simulatorUrl, databaseUrl: await database('strangers'), caps };
    const broker = await BrokerChild.start(surroundings);
    const bare = Companion.start(CANNED_SERVER);
    const sides = { caller: new Generator(), strangers: new Generator() };
    try {
      const port = await bare.ask<number>(REFUSAL);
      const caller = await makeCaller(broker.api);
      return await rounds(sides, caller, `http://127.0.0.1:${port}/`, progress);
    } finally {
      await Promise.all([sides.caller.stop(), sides.strangers.stop(), bare.stop()]);
      await broker.stop();
    }
  });
}

async function rounds(
  sides: Sides,
  caller: LoadOrder,
  bareUrl: string,
  progress: Progress,
): Promise<Finding[]> {
  const { url } = caller;
  const rates: Rates = { alone: [], beside: [], control: [] };
  const answers: Load[] = [];
  // A broker that has just started is slower for a while; and a key that it has not seen yet waits as strangers do.
  await sides.caller.run(caller);
  await besieged(sides, caller, { url });
  const tell = progress.step('strangers: rounds', ROUNDS);
  for (let round = 1; round <= ROUNDS; round += 1) {
    rates.alone.push(rateOf(await sides.caller.run(caller)));
    const beside = await besieged(sides, caller, { url });
    rates.beside.push(rateOf(beside.caller));
    answers.push(beside.strangers);
    const control = await besieged(sides, caller, { url: bareUrl, perSecond: beside.strangers.perSecond });
    rates.control.push(rateOf(control.caller));
    progress.say(
      `strangers: round ${round}: ${totalOf(beside.strangers)} at the broker, ${totalOf(control.strangers)} elsewhere`,
    );
    tell(round);
  }
  return [...ratesOf(rates), ...answersOf(answers)];
}

/** A known caller, beside strangers. */
async function besieged(
  sides: Sides,
  caller: LoadOrder,
  target: Pick<LoadOrder, 'url' | 'perSecond'>,
): Promise<{ caller: Load; strangers: Load }> {
  const seconds = SECONDS + 2 * MARGIN_S;
  const strangers = sides.strangers.run({ ...target, clients: STRANGER_CONNECTIONS, seconds });
  await sleep(MARGIN_S * 1_000);
  return { caller: await sides.caller.run(caller), strangers: await strangers };
}

/** A client with a token that it may read, over the API. */
async function makeCaller(api: string): Promise<LoadOrder> {
  const credential = { username: 'store-1', password: 'test-secret-of-the-only-store' };
  await askAsOperator('PUT', `${api}/v1/connections/${PROVIDER}${PATH}`, credential);
  const permission = { action: 'token:read', resource: `${PROVIDER}${PATH}` };
  // Several, so that no limit of a single caller is met.
  const keys = await makeKeys(api, CALLER_CONNECTIONS, [permission]);
  return {
    url: `${api}/v1/tokens/${PROVIDER}${PATH}`,
    keys,
    clients: CALLER_CONNECTIONS,
    seconds: SECONDS,
  };
}

/** Throws where the caller was answered anything but its token. */
function rateOf(load: Load): number {
  if (load.answers['200'] !== totalOf(load))
    throw new Error(`a known caller was refused: ${JSON.stringify(load.answers)}`);
  return load.perSecond;
}

function ratesOf({ alone, beside, control }: Rates): Finding[] {
  const mean = (rates: readonly number[]): number =>
    rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const goal = { atLeast: 0.8 };
  return [
    { name: 'strangers: a caller alone', value: mean(alone), unit: 'a second' },
    { name: 'strangers: a caller beside them', value: mean(beside), unit: 'a second' },
    { name: 'strangers: a caller while they call somebody else', value: mean(control), unit: 'a second' },
    { name: 'strangers: beside them, of alone', value: mean(beside) / mean(alone), unit: 'times', goal },
    {
      name: 'strangers: beside them, of while they call somebody else',
      value: mean(beside) / mean(control),
      unit: 'times',
    },
  ];
}

function answersOf(loads: readonly Load[]): Finding[] {
  return [...new Set(loads.flatMap(({ answers }) => Object.keys(answers)))].map((status) => ({
    name: `strangers: answered ${status}`,
    value:
      loads.reduce((sum, { answers }) => sum + (answers[status] ?? 0), 0) /
      (ROUNDS * (SECONDS + 2 * MARGIN_S)),
    unit: 'a second',
  }));
}
