import { expect, it } from '@jest/globals';
import { Histogram, Registry } from 'prom-client';
import { TalliedHistogram } from './tallied.js';

it('a tallied histogram tells what any other would', async () => {
  const [registry, other] = [new Registry(), new Registry()];
  const settings = { name: 'size', help: 'How large', labelNames: ['of', 'in'], buckets: [0.0005, 1, 2.5] };
  const tallied = new TalliedHistogram({ ...settings, registers: [registry] });
  const plain = new Histogram({ ...settings, registers: [other] });
  expect(await registry.metrics()).toBe(await other.metrics());
  for (const labels of [
    { of: 'a "text"', in: 'm' },
    { of: 'none', in: 's' },
  ]) {
    const sizes = tallied.begin(labels);
    for (const value of [0, 0.0005, 0.00050001, 1, 1.5, 2.5, 2.6, 1e9]) {
      sizes.observe(value);
      plain.observe(labels, value);
    }
  }
  expect(await registry.metrics()).toBe(await other.metrics());
  const [told, { values, ...about }] = [await tallied.get(), await plain.get()];
  // prom-client also tells exemplars, of which there are none.
  const plainly = values.map(({ metricName, labels, value }) => ({ metricName, labels, value }));
  expect(told).toEqual({ ...about, values: plainly });
});
