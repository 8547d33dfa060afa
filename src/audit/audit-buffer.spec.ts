import { beforeEach, describe, expect, it } from '@jest/globals';
import { array, assert, constantFrom, integer, oneof, property, record } from 'fast-check';
import { StandingClock } from '../../test/model/clocks.js';
import type { Settings } from '../config/settings.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuditBuffer } from './audit-buffer.js';
import type { AuditColumns } from './audit-columns.js';
import type { AuditEvent } from './audit-event.js';
import { AuditLines } from './audit-lines.js';
import { BufferBound } from './buffer-bound.js';
import type { BufferedEvent } from './buffered-event.js';

/** Begins with a minute. */
let clock: StandingClock;
let bound: BufferBound;
let buffer: AuditBuffer;

function begin(): void {
  clock = new StandingClock();
  bound = new BufferBound();
  const lines = new AuditLines({ audit: { stdout: false } } as Settings);
  buffer = new AuditBuffer(clock, bound, lines, new Metrics());
}

beforeEach(begin);

const readOf = (company: number): AuditEvent => ({
  actor: { id: 'one', keyId: 'key', sourceIp: '10.0.0.7', requestId: '1' },
  action: 'token:read',
  outcome: 'allowed',
  resource: `konnect/companies/${company}`,
  tokenFingerprint: `token of ${company}`,
});

const note = (...companies: readonly number[]): BufferedEvent[] =>
  companies.map((company) => buffer.note(readOf(company)));
/** Which companies these are about, and how often. */
const told = (rows: readonly AuditColumns[]): [string, number][] =>
  rows.map(({ resource, count }) => [resource.slice('konnect/companies/'.length), count]);
const write = (events: readonly BufferedEvent[]): [string, number][] =>
  told(events.map((one) => one.write()));
/** As a flush that is not interrupted. */
function flush(isLast = false): [string, number][] {
  const due = buffer.due(isLast);
  const written = write(due);
  buffer.settle(due);
  return written;
}

describe('what counts on', () => {
  it('waits for ten seconds from the first of all that does, and is written with it', () => {
    note(1, 2);
    expect(flush()).toEqual([
      ['1', 1],
      ['2', 1],
    ]);
    note(1);
    clock.go(6);
    note(2);
    expect([buffer.length, flush()]).toEqual([2, []]);
    clock.go(4);
    expect(flush()).toEqual([
      ['1', 2],
      ['2', 2],
    ]);
    expect([buffer.length, flush(true)]).toEqual([0, []]);
  });

  it('while it is written for the first time waits no less', () => {
    note(1);
    const due = buffer.due(false);
    write(due);
    note(1);
    buffer.settle(due);
    expect([buffer.length, flush()]).toEqual([1, []]);
    clock.go(10);
    expect([flush(), buffer.length]).toEqual([[['1', 2]], 0]);
  });

  it('is written at once when its minute ends, also where that is while it is written', () => {
    note(1);
    flush();
    note(1);
    clock.go(60);
    buffer.endMinute();
    expect(flush()).toEqual([['1', 2]]);

    note(2);
    const due = buffer.due(false);
    write(due);
    note(2);
    clock.go(60);
    buffer.endMinute();
    buffer.settle(due);
    expect([flush(), buffer.length]).toEqual([[['2', 2]], 0]);
  });
});

describe('what could not be written', () => {
  it('is due at once, be it that it counts on, and comes first', () => {
    note(1, 2, 3);
    flush();
    note(1, 2, 3);
    clock.go(10);
    const due = buffer.due(false);
    write(due);
    buffer.settle(due.slice(0, 1));
    note(4);
    expect(write(buffer.due(false))).toEqual([
      ['4', 1],
      ['2', 2],
      ['3', 2],
    ]);
  });
});

it('a permission that was refused ends the minute for nobody, however much is folded', () => {
  bound.rows = 4;
  // Of one caller, so many wait at a time.
  for (const company of [1, 2, 3, 4]) {
    note(company);
    flush();
  }
  buffer.note({ ...readOf(1), outcome: 'denied' });
  const [again] = note(1);
  expect(again?.count).toBe(2);
});

describe('whatever is noted, and whichever writes fail', () => {
  const steps = array(
    oneof(
      { weight: 6, arbitrary: record({ note: integer({ min: 1, max: 6 }) }) },
      record({ pass: constantFrom(0.4, 3, 11, 30) }),
      // In parts of so many, of which so many are kept before one fails.
      record({ write: integer({ min: 1, max: 4 }), keep: integer({ min: 0, max: 3 }) }),
    ),
    { minLength: 30, maxLength: 120 },
  );

  /** As the database has it then. */
  function keep(trail: Map<string, number>, buffered: BufferedEvent): void {
    const { id, count } = buffered.write();
    trail.set(id, count);
  }

  it('each read is counted once, and all room is given back', () => {
    assert(
      property(steps, (taken) => {
        begin();
        const trail = new Map<string, number>();
        let notes = 0;
        const noteOne = (company: number): void => {
          note(company);
          notes += 1;
        };
        const writeSome = (part: number, kept: number): void => {
          buffer.endMinute();
          const due = buffer.due(false);
          for (let at = 0; at < due.length && at < kept * part; at += part) {
            const chunk = due.slice(at, at + part);
            for (const one of chunk) keep(trail, one);
            noteOne(1 + (at % 6));
            buffer.settle(chunk);
          }
        };
        for (const step of taken) {
          if ('note' in step) noteOne(step.note);
          else if ('pass' in step) clock.go(step.pass);
          else writeSome(step.write, step.keep);
        }
        buffer.endMinute(true);
        const left = buffer.due(true);
        for (const one of left) keep(trail, one);
        buffer.settle(left);
        expect([...trail.values()].reduce((sum, count) => sum + count, 0)).toBe(notes);
        expect([buffer.length, bound.waiting]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
  });
});
