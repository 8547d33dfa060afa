import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { plainToInstance } from 'class-transformer';
import { IsNotEmpty, IsOptional, IsString, validateSync } from 'class-validator';
import { isLoopbackHost } from './addresses.js';
import { Environment } from './environment.js';
import { explain } from './explain.js';
import { ConfigurationError, Mistakes } from './mistakes.js';
import type { ProviderSurroundings } from './provider-reader.js';
import { IsAddress, IsEndpoint } from './web-address.js';
import { readYaml } from './yaml-file.js';

/** An OIDC issuer whose tokens vouch for workloads. Its files are read whenever it is asked: platforms replace them. */
export interface WorkloadIssuer {
  /** To the letter as it stands in its tokens' `iss`. */
  readonly issuer: string;
  /** PEM of the authorities that alone sign for its server; null: those that the process trusts. */
  readonly caFile: string | null;
  /** The bearer token that it wants for its discovery and its keys. */
  readonly tokenFile: string | null;
  /** Where its keys are; null: where its discovery says. */
  readonly jwksUrl: string | null;
}

type Surroundings = Pick<ProviderSurroundings, 'production' | 'allowInsecureHttp'>;

/** One entry of `WORKLOAD_ISSUERS_FILE`; the names are those of the file. */
class IssuerShape {
  @IsAddress() issuer!: string;
  @IsOptional() @IsString() @IsNotEmpty() ca_file?: string;
  @IsOptional() @IsString() @IsNotEmpty() token_file?: string;
  @IsOptional() @IsEndpoint() jwks_url?: string;
}

/**
 * Reads `WORKLOAD_ISSUERS` and `WORKLOAD_ISSUERS_FILE`; what the file says of an issuer counts where both name it. A
 * private address is as good as any, since clusters have those and nobody but the operator names one. Throws a
 * ConfigurationError with a line per mistake.
 */
export function readWorkloadIssuers(environment: Environment, around: Surroundings): WorkloadIssuer[] {
  const mistakes = new Mistakes();
  const issuers = new Map<string, WorkloadIssuer>();
  const read = (where: string, written: unknown): WorkloadIssuer | undefined =>
    mistakes.collect(() => readIssuer(where, written, around));
  listed(environment.plain('WORKLOAD_ISSUERS')).forEach((issuer, index) => {
    const found = read(`WORKLOAD_ISSUERS: entry ${index + 1}`, { issuer });
    if (found) issuers.set(found.issuer, found);
  });
  const path = environment.plain('WORKLOAD_ISSUERS_FILE');
  const ofFile = new Set<string>();
  (path === undefined ? [] : (mistakes.collect(() => entriesOf(path)) ?? [])).forEach((written, index) => {
    const where = `${path}: entry ${index + 1}`;
    const found = read(where, written);
    if (!found) return;
    if (ofFile.has(found.issuer)) mistakes.add(`${where}: its issuer stands there twice`);
    ofFile.add(found.issuer);
    issuers.set(found.issuer, found);
  });
  mistakes.throwIfAny();
  return [...issuers.values()];
}

function listed(text = ''): string[] {
  return text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

function entriesOf(path: string): readonly unknown[] {
  const { issuers, ...rest } = readYaml('WORKLOAD_ISSUERS_FILE', path);
  if (!Array.isArray(issuers) || Object.keys(rest).length > 0)
    throw new ConfigurationError([`${path}: must hold "issuers:" alone, and under it a list`]);
  return issuers;
}

function readIssuer(where: string, written: unknown, around: Surroundings): WorkloadIssuer {
  if (typeof written !== 'object' || written === null || Array.isArray(written))
    throw new ConfigurationError([`${where}: must be a map with an issuer`]);
  const shape = plainToInstance(IssuerShape, written);
  const faults = validateSync(shape, { whitelist: true, forbidNonWhitelisted: true }).map(explain);
  const { issuer, ca_file: caFile, token_file: tokenFile, jwks_url: jwksUrl } = shape;
  if (faults.length === 0) {
    faults.push(
      ...faultsOfAddress('issuer', issuer, around),
      ...faultsOfAddress('jwks_url', jwksUrl, around),
      ...faultsOfFile('ca_file', caFile, holdsCertificate, 'holds no certificate in PEM'),
      ...faultsOfFile('token_file', tokenFile, (text) => text.trim() !== '', 'is empty'),
    );
  }
  if (faults.length > 0) throw new ConfigurationError(faults.map((fault) => `${where}: ${fault}`));
  return {
    issuer,
    caFile: caFile ?? null,
    tokenFile: tokenFile ?? null,
    jwksUrl: jwksUrl ?? null,
  };
}

function faultsOfAddress(field: string, address: string | undefined, around: Surroundings): string[] {
  if (address === undefined || !around.production || around.allowInsecureHttp) return [];
  const { protocol, hostname } = new URL(address);
  if (protocol === 'https:' || isLoopbackHost(hostname)) return [];
  return [
    `${field} is plain http, where anyone on the way could put in keys of their own: use https, or set ALLOW_INSECURE_HTTP=true`,
  ];
}

function faultsOfFile(
  field: string,
  path: string | undefined,
  isGood: (text: string) => boolean,
  fault: string,
): string[] {
  if (path === undefined) return [];
  try {
    return isGood(readFileSync(path, 'utf8')) ? [] : [`${field}: ${path} ${fault}`];
  } catch (error) {
    return [`${field}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`];
  }
}

function holdsCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).fingerprint256 !== '';
  } catch {
    return false;
  }
}
