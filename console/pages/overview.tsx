import type { JSX } from 'preact';
import type { OverviewAnswer } from '../answers.js';
import { useLive } from '../live.js';
import { HoursChart } from '../parts/hours-chart.js';
import { State, When } from '../parts/marks.js';
import { Empty, Stale } from '../parts/notice.js';
import { Providers } from '../parts/providers.js';
import { companyName, number, troubleWord } from '../words.js';

const LOOK_MS = 3_000;

export function OverviewPage(): JSX.Element {
  const { value, refusal, look } = useLive<OverviewAnswer>('/v1/overview', LOOK_MS);
  return (
    <>
      <h1>Overview</h1>
      <Stale refusal={refusal} />
      {value && (
        <>
          <Counts overview={value} />
          <HoursChart overview={value} />
          <Attention items={value.attention} />
          {value.providers && <Providers providers={value.providers} onChanged={look} />}
        </>
      )}
    </>
  );
}

interface Count {
  readonly word: string;
  readonly count: number;
  readonly tone: string;
  readonly status: string;
  readonly isMore?: boolean;
}

function Counts({ overview: { connections, due_is_more } }: { overview: OverviewAnswer }): JSX.Element {
  const { well, due, suspect, reauthorization_required, paused, revoked } = connections;
  const counts: Count[] = [
    { word: 'Well', count: well, tone: 'good', status: 'active' },
    { word: 'Due now', count: due, tone: 'due', status: 'active', isMore: due_is_more },
    { word: 'Suspect', count: suspect, tone: 'warn', status: 'suspect' },
    {
      word: 'Need a person',
      count: reauthorization_required,
      tone: 'bad',
      status: 'reauthorization_required',
    },
    { word: 'Paused', count: paused, tone: 'calm', status: 'paused' },
  ];
  const all = counts.reduce((sum, { count }) => sum + count, 0);
  return (
    <section aria-label="Connections" class="counts">
      <ul>
        {counts.map(({ word, count, tone, status, isMore }) => (
          <li key={word} class={count === 0 ? 'none' : tone}>
            <a href={`#/connections?status=${status}`}>
              <strong>
                {number(count)}
                {isMore && '+'}
              </strong>
              <span>{word}</span>
            </a>
          </li>
        ))}
      </ul>
      <div class="shares" aria-hidden="true">
        {counts
          .filter(({ count }) => count > 0)
          .map(({ word, tone, count }) => (
            <span key={word} class={tone} style={{ flexGrow: count / all, minWidth: '3px' }} />
          ))}
      </div>
      <p class="faint">
        {number(all)} connections in force, and {number(revoked)} revoked.
      </p>
    </section>
  );
}

function Attention({ items }: { items: OverviewAnswer['attention'] }): JSX.Element {
  return (
    <section class="card" aria-labelledby="attention">
      <h2 id="attention">What needs a person first</h2>
      {items.length === 0 && <Empty>Nothing does.</Empty>}
      <ul class="attention">
        {items.map((it) => (
          <li key={it.id}>
            <a href={`#/connections/${it.id}`}>
              {it.provider} · {companyName(it)}
            </a>
            <State of={it.status} word={troubleWord(it.trouble)} />
            <p>{it.advice}</p>
            {it.rotate_by && /rotation/.test(it.trouble) && (
              <p class="faint">
                To be replaced <When at={it.rotate_by} />
              </p>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
