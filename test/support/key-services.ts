import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createHmac, createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Json } from './http.js';

/** One request, as it came over the wire. */
export interface AskedKey {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Json;
}

interface Said {
  readonly status: number;
  readonly body: object;
}

/** A key service on this machine. What it has wrapped it keeps, as a service keeps its keys. */
abstract class KeyService {
  readonly asked: AskedKey[] = [];
  /** In place of what it would answer; `hang up` as one that is away. */
  trouble: Said | 'hang up' | undefined;
  #server: Server | undefined;
  protected readonly kept = new Map<string, { plain: string; binding: string; key: string }>();

  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server?.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    if (this.#server) await once(this.#server, 'close');
  }

  protected abstract answer(asked: AskedKey, raw: string): Said;

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let raw = '';
    for await (const chunk of request) raw += String(chunk);
    const { method = '', url: path = '', headers } = request;
    const asked = { method, path, headers, body: JSON.parse(raw || '{}') as Json };
    this.asked.push(asked);
    if (this.trouble === 'hang up') return void request.socket.destroy();
    const { status, body } = this.trouble ?? this.answer(asked, raw);
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(body));
  }

  /** What a ciphertext opens to; undefined where it is not this key's, or is bound to something else. */
  protected opened(ciphertext: string, key: string, binding: string): string | undefined {
    const found = this.kept.get(ciphertext);
    return found && found.key === key && found.binding === binding ? found.plain : undefined;
  }
}

/** AWS KMS: JSON 1.1 over POST /, told apart by its target, signed with Signature Version 4, which is checked here. */
export class StandInKms extends KeyService {
  constructor(
    readonly accessKeyId: string,
    private readonly secretAccessKey: string,
    private readonly region: string,
  ) {
    super();
  }

  protected answer(asked: AskedKey, raw: string): Said {
    const { method, path, headers, body } = asked;
    if (method !== 'POST' || path !== '/') return fault('UnknownOperationException');
    if (headers['content-type'] !== 'application/x-amz-json-1.1') return fault('SerializationException');
    if (!this.#isSigned(headers, raw)) return fault('InvalidSignatureException');
    const key = String(body['KeyId']);
    const binding = JSON.stringify(body['EncryptionContext']);
    switch (headers['x-amz-target'] ?? '') {
      case 'TrentService.Encrypt': {
        const blob = randomBytes(48).toString('base64');
        this.kept.set(blob, { plain: String(body['Plaintext']), binding, key });
        return {
          status: 200,
          body: { CiphertextBlob: blob, KeyId: key, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
        };
      }
      case 'TrentService.Decrypt': {
        const plain = this.opened(String(body['CiphertextBlob']), key, binding);
        if (plain === undefined) return fault('InvalidCiphertextException');
        return {
          status: 200,
          body: { Plaintext: plain, KeyId: key, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
        };
      }
      default:
        return fault('UnknownOperationException');
    }
  }

  /** As AWS documents the signing of requests (Signature Version 4). */
  #isSigned(headers: IncomingHttpHeaders, raw: string): boolean {
    const form =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/kms\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/;
    const [, id, day = '', region = '', names = '', signature = ''] =
      form.exec(headers.authorization ?? '') ?? [];
    const date = String(headers['x-amz-date']);
    if (id !== this.accessKeyId || region !== this.region || !date.startsWith(day) || !names.includes('host'))
      return false;
    const signed = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
    const canonical = ['POST', '/', '', signed.join(''), names, sha256(raw)].join('\n');
    const scope = `${day}/${region}/kms/aws4_request`;
    const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
    const key = [day, region, 'kms', 'aws4_request'].reduce<Buffer>(
      (secret, part) => createHmac('sha256', secret).update(part).digest(),
      Buffer.from(`AWS4${this.secretAccessKey}`),
    );
    const expected = createHmac('sha256', key).update(toSign).digest();
    return timingSafeEqual(expected, Buffer.from(signature, 'hex'));
  }
}

function fault(type: string): Said {
  return { status: 400, body: { __type: type, message: 'not for anybody to see' } };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The transit engine of Vault and OpenBao: two paths under its mount, a token, and perhaps a namespace. */
export class StandInTransit extends KeyService {
  constructor(
    public token: string,
    private readonly keyName: string,
  ) {
    super();
  }

  protected answer({ method, path, headers, body }: AskedKey): Said {
    if (headers['x-vault-token'] !== this.token)
      return { status: 403, body: { errors: ['permission denied'] } };
    const [, verb, name] = /^\/v1\/transit\/(encrypt|decrypt)\/([\w.-]+)$/.exec(path) ?? [];
    if (method !== 'POST' || name !== this.keyName) return { status: 404, body: { errors: [] } };
    const binding = String(body['associated_data']);
    if (verb === 'encrypt') {
      const ciphertext = `vault:v1:${randomBytes(48).toString('base64')}`;
      this.kept.set(ciphertext, { plain: String(body['plaintext']), binding, key: name });
      return { status: 200, body: { data: { ciphertext, key_version: 1 } } };
    }
    const plain = this.opened(String(body['ciphertext']), name, binding);
    if (plain === undefined)
      return { status: 400, body: { errors: ['cipher: message authentication failed'] } };
    return { status: 200, body: { data: { plaintext: plain } } };
  }
}
