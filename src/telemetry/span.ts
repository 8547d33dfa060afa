import { AsyncLocalStorage } from 'node:async_hooks';
import type { Secret } from '../shared/secret.js';

/** What is told of a span: ids, names and codes; never a URL, a body or a header, which may hold a secret. */
export type SpanNotes = Readonly<Record<string, string | number | boolean>>;

/** From a caller, of a caller's, to a provider, or work of the broker's own. */
export type SpanKind = 'server' | 'client' | 'internal';

/** A piece of work in a trace that is being recorded. */
export interface Span {
  /** As it is passed on, in the form of W3C Trace Context. */
  readonly traceparent: string;
  /** Begins a piece of this piece. */
  child(name: string, kind: SpanKind, notes: SpanNotes): Span;
  note(notes: SpanNotes): void;
  /** It came to nothing, for the reason that this code names. */
  fail(code: string): void;
  end(): void;
}

/** Where traces go, and how many. */
export interface TracingSettings {
  /** Of an OTLP receiver over HTTP, without the path. */
  readonly endpoint: string;
  /** Headers that it wants, each with its value; they may hold a key. */
  readonly headers: ReadonlyMap<string, Secret>;
  readonly serviceName: string;
  /** The part of traces that are recorded, where no caller has decided that already; 0 to 1. */
  readonly share: number;
}

/** A beginning that somebody else has made, by its headers. */
export type TraceHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What records spans. */
export interface SpanRecorder {
  /** Begins a trace, or goes on with the one that the headers name. `at`: milliseconds since 1970, where that is not now. */
  begin(name: string, kind: SpanKind, notes: SpanNotes, from?: TraceHeaders, at?: number): Span;
  /** Sends what was gathered. */
  flush(): Promise<void>;
  /** Sends what was gathered, and takes nothing more. */
  stop(): Promise<void>;
}

const spans = new AsyncLocalStorage<Span>();

/** Does this, and all that follows from it, as part of a span. */
export function inSpan<T>(span: Span, work: () => T): T {
  return spans.run(span, work);
}

/** Undefined where nothing is traced, or nobody's span is this. */
export function currentSpan(): Span | undefined {
  return spans.getStore();
}
