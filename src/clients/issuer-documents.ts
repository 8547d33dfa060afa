import { readFileSync } from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import type { AxiosRequestConfig } from 'axios';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import type { WorkloadIssuer } from '../config/workload-issuers.js';

/** Finds the one key of an issuer that a token's header means. */
export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** An issuer's keys could not be had. The message is ours throughout, for the log. */
export class KeysNotHad extends Error {}

/** Milliseconds for discovery and keys together: a request waits for them. */
const MOST_MS = 3_000;

/** Dozens of keys, with certificates, need less. */
const MOST_BYTES = 256 * 1024;

const asItIs = <T>(content: T): T => content;

/**
 * Asks issuers for their keys (OpenID Connect Discovery 1.0, RFC 7517). Where to ask stands in the configuration, or in a
 * document of the issuer that names a place of the same origin; no redirect is followed, and no proxy used.
 */
@Injectable()
export class IssuerDocuments {
  constructor(private readonly http: HttpService) {}

  /** The issuer's keys as they are now. Throws KeysNotHad. */
  async keySet(issuer: WorkloadIssuer): Promise<KeySet> {
    const access = accessTo(issuer);
    const address = issuer.jwksUrl ?? (await this.#discover(issuer.issuer, access));
    const keys = await this.#get(address, access);
    try {
      return createLocalJWKSet(keys as JSONWebKeySet);
    } catch {
      throw new KeysNotHad(`${address} holds no key set`);
    }
  }

  async #discover(issuer: string, access: AxiosRequestConfig): Promise<string> {
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
    const metadata = await this.#get(address, access);
    const { issuer: named, jwks_uri: keys } = Object(metadata) as Record<string, unknown>;
    if (named !== issuer) throw new KeysNotHad(`${address} is about another issuer`);
    if (typeof keys === 'string' && URL.canParse(keys) && new URL(keys).origin === new URL(issuer).origin)
      return keys;
    throw new KeysNotHad(
      `${address} names no jwks_uri of the issuer's own origin: give its jwks_url in WORKLOAD_ISSUERS_FILE`,
    );
  }

  async #get(address: string, access: AxiosRequestConfig): Promise<unknown> {
    const { status, data } = await this.http.axiosRef.get<Buffer>(address, access).catch((error: unknown) => {
      throw new KeysNotHad(`${address} ${explain(error, access)}`);
    });
    if (status !== 200) throw new KeysNotHad(`${address} answered ${status}`);
    try {
      return JSON.parse(data.toString('utf8'));
    } catch {
      throw new KeysNotHad(`${address} did not answer in JSON`);
    }
  }
}

/** How an issuer is asked, in whatever time is left; its files may have been replaced since they were read last. */
function accessTo({ caFile, tokenFile }: WorkloadIssuer): AxiosRequestConfig {
  const headers = {
    accept: 'application/json, application/jwk-set+json',
    'accept-encoding': 'identity',
    'user-agent': 'token-broker',
  };
  return {
    headers:
      tokenFile === null ? headers : { ...headers, authorization: `Bearer ${contentOf(tokenFile).trim()}` },
    httpAgent: new HttpAgent(),
    // Said outright, or a variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) could say otherwise.
    httpsAgent: new HttpsAgent({
      rejectUnauthorized: true,
      ...(caFile === null ? {} : { ca: contentOf(caFile) }),
    }),
    signal: AbortSignal.timeout(MOST_MS),
    proxy: false,
    maxRedirects: 0,
    maxContentLength: MOST_BYTES,
    decompress: false,
    responseType: 'arraybuffer',
    transformResponse: asItIs,
    validateStatus: () => true,
  };
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new KeysNotHad(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** What axios says of a failure quotes the request, and with it the bearer token: of that, the code alone is told. */
function explain(error: unknown, { signal }: AxiosRequestConfig): string {
  const { code = 'no code', message = '' } = error as { code?: string; message?: string };
  if (signal?.aborted) return `did not answer within ${MOST_MS / 1_000} s`;
  return message.startsWith('maxContentLength') ? 'answered too much' : `could not be asked (${code})`;
}
