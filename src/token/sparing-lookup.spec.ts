import { beforeEach, describe, expect, it } from '@jest/globals';
import { TestClock } from '../../test/support/test-clock.js';
import { SparingLookup } from './sparing-lookup.js';

describe('a sparing lookup', () => {
  const sparing = { everyMs: 2_000, share: 0.1, atLeastEveryMs: 60_000, keptMs: 30_000 };
  let clock: TestClock;
  let asked: number;
  let takesS: number;
  let fails: boolean;
  let lookup: SparingLookup<number>;

  beforeEach(() => {
    [clock, asked, takesS, fails] = [new TestClock(), 0, 0, false];
    lookup = new SparingLookup(
      async () => {
        asked += 1;
        await Promise.resolve();
        clock.advance(takesS);
        if (fails) throw new Error('the database is away');
        return asked;
      },
      sparing,
      clock,
    );
  });

  it('asks once for many who want it at once, and again only after a while', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => lookup.latest(1_000)));
    expect([new Set(answers), asked]).toEqual([new Set([1]), 1]);
    clock.advance(1.9);
    expect([await lookup.latest(1_000), asked]).toEqual([1, 1]);
    clock.advance(0.2);
    expect([await lookup.latest(1_000), asked]).toEqual([2, 2]);
  });

  it('asks less often what takes long, and never more seldom than its limit', async () => {
    takesS = 3;
    await lookup.latest(1_000);
    takesS = 100;
    clock.advance(29);
    await lookup.latest(1_000);
    expect(asked).toBe(1);
    clock.advance(2);
    await lookup.latest(1_000);
    expect(asked).toBe(2);
    clock.advance(59);
    await lookup.latest(1_000);
    expect(asked).toBe(2);
    clock.advance(2);
    await lookup.latest(1_000);
    expect(asked).toBe(3);
  });

  it('answers with what it knew where the new answer fails, until that is too old', async () => {
    await lookup.latest(1_000);
    fails = true;
    clock.advance(31);
    expect(await lookup.latest(1_000)).toBe(1);
    clock.advance(2);
    expect(await lookup.latest(1_000)).toBeUndefined();
    fails = false;
    clock.advance(3);
    expect(await lookup.latest(1_000)).toBe(asked);
  });

  it('lets nobody wait longer than they want to, and has the answer for the next', async () => {
    let answer = (_value: string): void => undefined;
    const slow = new SparingLookup(
      () => new Promise<string>((resolve) => (answer = resolve)),
      sparing,
      clock,
    );
    expect(await slow.latest(10)).toBeUndefined();
    answer('late');
    await new Promise((resolve) => setImmediate(resolve));
    expect(await slow.latest(10)).toBe('late');
  });
});
