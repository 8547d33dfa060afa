import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, string | number | boolean>>;
}

interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly Attribute[];
  readonly status?: { readonly code?: number };
}

interface WireMessage {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}

const KINDS = ['unspecified', 'internal', 'server', 'client'];

/** A span as it arrived. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined where it begins its trace. */
  readonly parentId: string | undefined;
  readonly name: string;
  readonly kind: string;
  readonly isError: boolean;
  readonly notes: Readonly<Record<string, string | number | boolean>>;
  readonly service: unknown;
}

/** What traces are sent to: OTLP over HTTP, in JSON. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Each message as it came: method, path, headers, body. */
  readonly messages: {
    readonly line: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }[] = [];
  /** What it answers. */
  status = 200;
  readonly #server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      this.messages.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      if (this.status === 200) this.spans.push(...spansIn(JSON.parse(body) as WireMessage));
      response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
    });
  });

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function spansIn({ resourceSpans }: WireMessage): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = asNotes(resource.attributes)['service.name'];
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ traceId, spanId, parentSpanId, name, kind, attributes, status }) => ({
        traceId,
        spanId,
        parentId: parentSpanId === '' ? undefined : parentSpanId,
        name,
        kind: KINDS[kind] ?? String(kind),
        isError: status?.code === 2,
        notes: asNotes(attributes),
        service,
      })),
    );
  });
}

function asNotes(attributes: readonly Attribute[]): ReceivedSpan['notes'] {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0] ?? '']));
}
