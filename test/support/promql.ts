import { parser } from '@prometheus-io/lezer-promql';

/** What an expression asks for: the names of its metrics, and of all labels that it tells apart or matches. */
export interface Asked {
  readonly metrics: readonly string[];
  readonly labels: readonly string[];
}

/** Reads an expression. Throws where it is none; Grafana's variables are to be filled in before. */
export function readPromql(expression: string): Asked {
  const metrics: string[] = [];
  const labels: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, name, from, to }) {
      const text = expression.slice(from, to);
      if (type.isError) throw new Error(`cannot be read at ${from}: ${expression}`);
      if (name === 'Identifier') metrics.push(text);
      if (name === 'LabelName') labels.push(text);
    },
  });
  if (metrics.length === 0) throw new Error(`nothing is asked for by ${expression}`);
  return { metrics, labels };
}
