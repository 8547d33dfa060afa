import { Agent as HttpsAgent } from 'node:https';
import { DecryptCommand, EncryptCommand, KMSClient, KMSServiceException } from '@aws-sdk/client-kms';
import { regionOf, type RemoteKey } from '../config/encryption-keys.js';
import { KeyServiceError, type KeyWrapping } from './key-wrapping.js';

/** In milliseconds, each. The client tries three times. */
const CONNECT_MS = 2_000;
const ANSWER_MS = 5_000;

/** What KMS says of a ciphertext that is not this key's, was changed, or is bound to something else. */
const NOT_ITS_OWN = /^(InvalidCiphertextException|IncorrectKeyException)$/;

/**
 * A key of AWS KMS. Region and key are those of its ARN, credentials come by the SDK's own chain (a pod's identity, an
 * instance's, or variables), and nothing of a request has a part in where a data key is sent.
 */
export class AwsKmsWrapping implements KeyWrapping {
  readonly #client: KMSClient;

  constructor(
    private readonly key: RemoteKey,
    endpoint: string | null,
  ) {
    this.#client = new KMSClient({
      region: regionOf(key),
      ...(endpoint === null ? {} : { endpoint }),
      requestHandler: {
        // Whatever NODE_TLS_REJECT_UNAUTHORIZED says to all others: data keys go this way.
        httpsAgent: new HttpsAgent({ rejectUnauthorized: true, keepAlive: true }),
        connectionTimeout: CONNECT_MS,
        requestTimeout: ANSWER_MS,
        throwOnRequestTimeout: true,
      },
    });
  }

  async wrap(plain: Buffer, binding: Buffer): Promise<Buffer> {
    const { CiphertextBlob } = await this.#asked(
      this.#client.send(
        new EncryptCommand({ KeyId: this.key.name, Plaintext: plain, EncryptionContext: contextOf(binding) }),
      ),
    );
    if (!CiphertextBlob) throw new KeyServiceError(this.key.id, 'no ciphertext in its answer', false);
    return Buffer.from(CiphertextBlob);
  }

  async unwrap(wrapped: Buffer, binding: Buffer): Promise<Buffer | undefined> {
    try {
      const { Plaintext } = await this.#client.send(
        new DecryptCommand({
          KeyId: this.key.name,
          CiphertextBlob: wrapped,
          EncryptionContext: contextOf(binding),
        }),
      );
      return Plaintext && Buffer.from(Plaintext);
    } catch (error) {
      if (error instanceof Error && NOT_ITS_OWN.test(error.name)) return undefined;
      throw this.#refusal(error);
    }
  }

  async #asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown): KeyServiceError {
    const { name = 'no answer', code } = error as { name?: string; code?: string };
    // What has an answer of its own and is the sender's fault stays so; a service that is down, slow or busy comes back.
    const isRefused =
      (error instanceof KMSServiceException &&
        error.$fault === 'client' &&
        !/Throttl|LimitExceeded/.test(name)) ||
      name === 'CredentialsProviderError';
    return new KeyServiceError(this.key.id, code ?? name, !isRefused);
  }
}

/** KMS binds texts by names; it shows them in CloudTrail, and they hold no secret. */
function contextOf(binding: Buffer): Record<string, string> {
  return { 'token-broker': binding.toString('utf8') };
}
