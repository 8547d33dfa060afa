import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { within } from '../shared/within.js';
import {
  currentSpan,
  type Span,
  type SpanNotes,
  type SpanRecorder,
  type TraceHeaders,
  type TracingSettings,
} from './span.js';

/** An orderly stop waits no longer for what is still to be sent, in milliseconds. */
const STOP_MS = 3_000;

/** Traces, where somebody wants them. Where nobody does, none of what makes them is even loaded. */
@Injectable()
export class Tracing implements OnApplicationShutdown {
  #recorder: SpanRecorder | undefined;

  /** Loads what it takes. */
  async start(settings: TracingSettings): Promise<void> {
    const { startOtlp } = await import('./otlp.js');
    this.#recorder = startOtlp(settings);
  }

  get isOn(): boolean {
    return this.#recorder !== undefined;
  }

  /** Begins what comes from outside; undefined where nothing is traced. */
  received(name: string, notes: SpanNotes, from?: TraceHeaders, at?: number): Span | undefined {
    return this.#recorder?.begin(name, 'server', notes, from, at);
  }

  /** Begins work of the broker's own: part of the request that wanted it, else a trace of its own. */
  working(name: string, notes: SpanNotes): Span | undefined {
    if (!this.#recorder) return undefined;
    return currentSpan()?.child(name, 'internal', notes) ?? this.#recorder.begin(name, 'internal', notes);
  }

  /** Sends at once what would be sent within two seconds. */
  async flush(): Promise<void> {
    await this.#recorder?.flush();
  }

  /** Sends what is still to be sent. */
  async onApplicationShutdown(): Promise<void> {
    if (this.#recorder) await within(this.#recorder.stop(), STOP_MS);
    this.#recorder = undefined;
  }
}
