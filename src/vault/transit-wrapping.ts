import { Agent as HttpsAgent } from 'node:https';
import axios, { type AxiosInstance } from 'axios';
import type { RemoteKey } from '../config/encryption-keys.js';
import type { TransitSettings } from '../config/key-services.js';
import { KeyServiceError, type KeyWrapping } from './key-wrapping.js';

const TIMEOUT_MS = 5_000;
/** A wrapped data key is about 100 bytes. */
const MOST_BYTES = 65_536;

interface Reply {
  readonly data?: { readonly ciphertext?: unknown; readonly plaintext?: unknown };
}

/**
 * A key of the transit engine of HashiCorp Vault or OpenBao, which speak the same. Two calls of one shape are all that is
 * needed, so the HTTP client that is here already makes them: what there is of libraries brings parts that nobody has kept for years.
 */
export class TransitWrapping implements KeyWrapping {
  readonly #http: AxiosInstance;

  constructor(
    private readonly key: RemoteKey,
    private readonly transit: TransitSettings,
  ) {
    this.#http = axios.create({
      baseURL: `${transit.address}/v1/${transit.mount}/`,
      timeout: TIMEOUT_MS,
      maxRedirects: 0,
      proxy: false,
      maxContentLength: MOST_BYTES,
      validateStatus: null,
      // An agent of its own, whatever variables say of certificates and proxies for all others: data keys go this way.
      httpsAgent: new HttpsAgent({
        rejectUnauthorized: true,
        ...(transit.ca === null ? {} : { ca: transit.ca }),
      }),
    });
  }

  async wrap(plain: Buffer, binding: Buffer): Promise<Buffer> {
    const { status, data } = await this.#ask('encrypt', { plaintext: plain.toString('base64') }, binding);
    const ciphertext = data.data?.ciphertext;
    if (status === 200 && typeof ciphertext === 'string') return Buffer.from(ciphertext, 'utf8');
    throw this.#refusal(status);
  }

  async unwrap(wrapped: Buffer, binding: Buffer): Promise<Buffer | undefined> {
    const { status, data } = await this.#ask('decrypt', { ciphertext: wrapped.toString('utf8') }, binding);
    const plaintext = data.data?.plaintext;
    if (status === 200 && typeof plaintext === 'string') return Buffer.from(plaintext, 'base64');
    // Its word for a ciphertext of another key, one that was changed, and one that is bound to something else.
    if (status === 400) return undefined;
    throw this.#refusal(status);
  }

  async #ask(
    verb: 'encrypt' | 'decrypt',
    body: Record<string, string>,
    binding: Buffer,
  ): Promise<{ status: number; data: Reply }> {
    const { token, namespace } = this.transit;
    try {
      const { status, data } = await this.#http.post<Reply | null>(
        `${verb}/${encodeURIComponent(this.key.name)}`,
        { ...body, associated_data: binding.toString('base64') },
        {
          signal: AbortSignal.timeout(TIMEOUT_MS),
          headers: {
            'X-Vault-Token': token.current.reveal(),
            'X-Vault-Request': 'true',
            ...(namespace === null ? {} : { 'X-Vault-Namespace': namespace }),
          },
        },
      );
      return { status, data: data ?? {} };
    } catch (error) {
      // Never the error itself: it holds the headers.
      throw new KeyServiceError(this.key.id, (error as { code?: string }).code ?? 'no answer', true);
    }
  }

  /** Sealed, standing by, starting or busy: it comes back. A token may be renewed beside us, but that is somebody's to see to. */
  #refusal(status: number): KeyServiceError {
    return new KeyServiceError(
      this.key.id,
      `HTTP ${status}`,
      status >= 500 || status === 429 || (status >= 472 && status <= 473),
    );
  }
}
