import { isIP } from 'node:net';

/** What a simulator is started with. */
export interface SimulatorSettings {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly apiKey: string;
  readonly apiSecret: string;
  /** How long tokens live, in seconds. */
  readonly tokenTtl: number;
}

export const DEFAULT_SETTINGS: SimulatorSettings = {
  host: '127.0.0.1',
  port: 8090,
  apiKey: 'demo-key',
  apiSecret: 'demo-secret',
  tokenTtl: 3600,
};

const LONGEST_TTL = 365 * 24 * 3600;
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/;

/** Reads the simulator's variables; an empty one counts as absent. `mistakes` has one line for each that is wrong. */
export function readEnvironment(env: NodeJS.ProcessEnv): { settings: SimulatorSettings; mistakes: string[] } {
  const mistakes: string[] = [];

  const text = (name: string, fallback: string, rule: string, isGood: (value: string) => boolean): string => {
    const value = env[name] || fallback;
    if (!isGood(value)) mistakes.push(`${name} must be ${rule}`);
    return value;
  };
  const whole = (name: string, fallback: number, lowest: number, highest: number): number => {
    const rule = `a whole number from ${lowest} to ${highest}`;
    const isGood = (value: string): boolean =>
      /^\d{1,9}$/.test(value) && Number(value) >= lowest && Number(value) <= highest;
    return Number(text(name, String(fallback), rule, isGood));
  };

  const settings = {
    host: text(
      'SIMULATOR_HOST',
      DEFAULT_SETTINGS.host,
      'an IP address or a host name',
      (value) => isIP(value) !== 0 || HOST_NAME.test(value),
    ),
    port: whole('SIMULATOR_PORT', DEFAULT_SETTINGS.port, 0, 65_535),
    // A colon would end the user name of the Basic scheme early.
    apiKey: text(
      'SIMULATOR_API_KEY',
      DEFAULT_SETTINGS.apiKey,
      'text without a colon',
      (value) => !value.includes(':'),
    ),
    apiSecret: text('SIMULATOR_API_SECRET', DEFAULT_SETTINGS.apiSecret, 'text', () => true),
    tokenTtl: whole('SIMULATOR_TOKEN_TTL', DEFAULT_SETTINGS.tokenTtl, 1, LONGEST_TTL),
  };
  return { settings, mistakes };
}
