import { Logger } from '@nestjs/common';
import {
  ROOT_CONTEXT,
  SpanKind as Kind,
  SpanStatusCode,
  defaultTextMapSetter,
  trace,
  type Context,
  type Span as OtelSpan,
  type Tracer,
} from '@opentelemetry/api';
import { ExportResultCode, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace';
import type { Span, SpanKind, SpanNotes, SpanRecorder, TraceHeaders, TracingSettings } from './span.js';

const KINDS: Readonly<Record<SpanKind, Kind>> = {
  server: Kind.SERVER,
  client: Kind.CLIENT,
  internal: Kind.INTERNAL,
};
/** Milliseconds for which spans are gathered, and after which a receiver that does not answer is given up. */
const GATHER_MS = 2_000;
const EXPORT_MS = 5_000;

const contexts = new W3CTraceContextPropagator();
const HEADERS = {
  get: (headers: TraceHeaders, name: string) => headers[name],
  keys: (headers: TraceHeaders) => Object.keys(headers),
};

/** Spans by OpenTelemetry, sent as OTLP over HTTP, in JSON. Loaded only where somebody wants them. */
export function startOtlp({ endpoint, headers, serviceName, share }: TracingSettings): SpanRecorder {
  const exporter = new TellingExporter({
    url: `${endpoint}/v1/traces`,
    headers: Object.fromEntries([...headers].map(([name, value]) => [name, value.reveal()])),
    timeoutMillis: EXPORT_MS,
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        scheduledDelayMillis: GATHER_MS,
        exportTimeoutMillis: EXPORT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('token-broker');
  return {
    begin: (name, kind, notes, from, at) => {
      const parent = from ? contexts.extract(ROOT_CONTEXT, from, HEADERS) : ROOT_CONTEXT;
      return new RecordedSpan(tracer, parent, name, { kind, notes, at });
    },
    flush: () => provider.forceFlush(),
    stop: () => provider.shutdown(),
  };
}

interface Beginning {
  readonly kind: SpanKind;
  readonly notes: SpanNotes;
  readonly at?: number | undefined;
}

class RecordedSpan implements Span {
  readonly #span: OtelSpan;
  readonly #context: Context;

  constructor(
    private readonly tracer: Tracer,
    parent: Context,
    name: string,
    { kind, notes, at }: Beginning,
  ) {
    const options = { kind: KINDS[kind], attributes: notes, ...(at === undefined ? {} : { startTime: at }) };
    this.#span = tracer.startSpan(name, options, parent);
    this.#context = trace.setSpan(ROOT_CONTEXT, this.#span);
  }

  get traceparent(): string {
    const carrier: Record<string, string> = {};
    contexts.inject(this.#context, carrier, defaultTextMapSetter);
    return carrier['traceparent'] ?? '';
  }

  child(name: string, kind: SpanKind, notes: SpanNotes): Span {
    return new RecordedSpan(this.tracer, this.#context, name, { kind, notes });
  }

  note(notes: SpanNotes): void {
    this.#span.setAttributes(notes);
  }

  fail(code: string): void {
    this.#span.setAttribute('error.type', code).setStatus({ code: SpanStatusCode.ERROR });
  }

  end(): void {
    this.#span.end();
  }
}

/** Says once that nobody takes the traces, for as long as that lasts. What cannot be sent is dropped. */
class TellingExporter extends OTLPTraceExporter {
  readonly #logger = new Logger('Tracing');
  #isFailing = false;

  override export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    super.export(spans, (result) => {
      const isFailing = result.code !== ExportResultCode.SUCCESS;
      if (isFailing && !this.#isFailing)
        this.#logger.warn('traces cannot be sent to OTEL_EXPORTER_OTLP_ENDPOINT and are dropped');
      if (!isFailing && this.#isFailing) this.#logger.log('traces can be sent again');
      this.#isFailing = isFailing;
      done(result);
    });
  }
}
