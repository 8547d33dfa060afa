import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliCompress, gzip } from 'node:zlib';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** Nothing but our own files may load or run, no page may frame them, and nothing that they do reaches another site. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  vary: 'accept-encoding',
  // Asked for each time, and sent again only where it has changed.
  'cache-control': 'no-cache',
} as const;

const TYPES = {
  'index.html': 'text/html; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
} as const;

export type ConsoleFile = keyof typeof TYPES;

/** Made by `npm run build`, from `console/` at the top of the repository. */
const FOLDER = new URL('../../dist/console/page/', import.meta.url);

const CODINGS = { br: promisify(brotliCompress), gzip: promisify(gzip) } as const;

interface Loaded {
  readonly etag: string;
  readonly plain: Buffer;
  readonly br: Buffer;
  readonly gzip: Buffer;
}

/** The page's files: read and packed once, when somebody asks for them first. */
@Injectable()
export class ConsoleFiles {
  readonly #loaded = new Map<ConsoleFile, Promise<Loaded>>();

  async send(name: ConsoleFile, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const loading = this.#loaded.get(name) ?? load(name);
    this.#loaded.set(name, loading);
    loading.catch(() => this.#loaded.delete(name));
    const file = await loading;
    void reply.headers({ ...HEADERS, 'content-type': TYPES[name], etag: file.etag });
    if (request.headers['if-none-match'] === file.etag) return void reply.status(304).send();
    const taken = String(request.headers['accept-encoding'] ?? '');
    const coding = (['br', 'gzip'] as const).find((it) =>
      new RegExp(`\\b${it}\\b(?!;q=0(?:[,\\s]|$))`).test(taken),
    );
    if (coding) void reply.header('content-encoding', coding);
    await reply.send(file[coding ?? 'plain']);
  }
}

async function load(name: ConsoleFile): Promise<Loaded> {
  const plain = await readFile(new URL(name, FOLDER));
  const [br, gz] = await Promise.all([CODINGS.br(plain), CODINGS.gzip(plain)]);
  return {
    etag: `"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"`,
    plain,
    br,
    gzip: gz,
  };
}
