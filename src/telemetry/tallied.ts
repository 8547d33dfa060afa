import {
  Counter,
  type CounterConfiguration,
  Histogram,
  type HistogramConfiguration,
  type LabelValues,
} from 'prom-client';

/** One series of a counter. */
export class Tally {
  count = 0;
}

/**
 * A counter for what happens with every token: its series are resolved once and then counted up as plain numbers, in
 * nanoseconds, where prom-client looks each of them up by all of its labels again, in more than a microsecond.
 */
export class TalliedCounter<Label extends string> extends Counter<Label> {
  readonly #series: { readonly labels: LabelValues<Label>; readonly tally: Tally }[] = [];

  constructor(configuration: CounterConfiguration<Label>) {
    super(configuration);
  }

  /** A new series: to be asked for once for the same labels. */
  begin(labels: LabelValues<Label>): Tally {
    const tally = new Tally();
    this.#series.push({ labels, tally });
    return tally;
  }

  override async get(): ReturnType<Counter<Label>['get']> {
    const values = this.#series.map(({ labels, tally }) => ({ labels, value: tally.count }));
    return { ...(await super.get()), values };
  }
}

/** One series of a histogram. */
export class Sizes {
  /** By bucket, each without those below it; the last is of what exceeds all bounds. */
  readonly counts: Float64Array;
  sum = 0;

  /** @param bounds that values of each bucket do not exceed, ascending */
  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (value > (this.bounds[bucket] ?? Infinity)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sum += value;
  }
}

interface Exposed {
  readonly metricName: string;
  readonly labels: object;
  readonly sharedLabels: object;
  readonly value: number;
}

/** The same for a histogram, whose buckets prom-client finds by names that it makes of their bounds. */
export class TalliedHistogram<Label extends string> extends Histogram<Label> {
  readonly #series: { readonly labels: LabelValues<Label>; readonly sizes: Sizes }[] = [];

  constructor(
    private readonly configuration: HistogramConfiguration<Label> & { readonly buckets: number[] },
  ) {
    super(configuration);
  }

  /** A new series: to be asked for once for the same labels. */
  begin(labels: LabelValues<Label>): Sizes {
    const sizes = new Sizes(this.configuration.buckets);
    this.#series.push({ labels, sizes });
    return sizes;
  }

  /** What prom-client's registry asks for, and its own `get`. */
  getForPromString(): Promise<object> {
    const { name, help } = this.configuration;
    const values = this.#series.flatMap(({ labels, sizes }) => this.#exposed(labels, sizes));
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values });
  }

  /** As it is told to Prometheus: each bucket with all below it. */
  #exposed(sharedLabels: object, { counts, sum }: Sizes): Exposed[] {
    const { name, buckets } = this.configuration;
    let total = 0;
    const ofBuckets = [...buckets, '+Inf'].map((le, bucket) => {
      total += counts[bucket] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, sharedLabels, value: total };
    });
    return [
      ...ofBuckets,
      { metricName: `${name}_sum`, labels: {}, sharedLabels, value: sum },
      { metricName: `${name}_count`, labels: {}, sharedLabels, value: total },
    ];
  }
}
