import type { Environment } from '../config/environment.js';
import { LiveValue } from '../config/live-value.js';
import { ConfigurationError, Mistakes } from '../config/mistakes.js';
import { BrokerApi } from '../import/broker-api.js';
import { Secret } from '../shared/secret.js';

/**
 * The broker that `BROKER_URL` and `BROKER_KEY` (or `BROKER_KEY_FILE`) name. Throws a ConfigurationError.
 *
 * @param permissions what the key has to be permitted, as the message about it says
 */
export function readBroker(environment: Environment, stopping: AbortSignal, permissions: string): BrokerApi {
  const url = environment.plain('BROKER_URL');
  const isUrl = url !== undefined && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
  const mistakes = new Mistakes();
  if (!isUrl) mistakes.add('BROKER_URL must be the address of a running broker: http://token-broker:8080');
  const key = mistakes.collect(() => keyOf(environment, permissions));
  mistakes.throwIfAny();
  if (!isUrl || !key) throw new Error('a mistake went unnoticed');
  const tell = (line: string): unknown => process.stderr.write(`token-broker: ${line}\n`);
  return new BrokerApi(url, () => key.current.reveal(), stopping, tell);
}

function keyOf(environment: Environment, permissions: string): LiveValue<Secret> {
  return LiveValue.of(environment, ['BROKER_KEY'], () => {
    const text = environment.secret('BROKER_KEY');
    if (text) return new Secret(text);
    throw new ConfigurationError([
      `BROKER_KEY (or BROKER_KEY_FILE) must be the key of a client with ${permissions}`,
    ]);
  });
}
