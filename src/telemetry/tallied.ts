import { Counter, type CounterConfiguration, type LabelValues } from 'prom-client';

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
