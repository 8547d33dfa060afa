/** What `explain (analyze, format json)` answers. */
export interface ExplainedPlan {
  readonly 'QUERY PLAN': readonly [{ readonly Plan: PlanNode }];
}

interface PlanNode {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Rows Removed by Join Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Rows that a statement looked at in all its steps, or only in those that read a table whose name begins so. */
export function rowsSeen(explained: readonly ExplainedPlan[], relation?: string): number {
  const [{ 'QUERY PLAN': [root] } = { 'QUERY PLAN': [undefined] }] = explained;
  return root ? seenBy(root.Plan, relation) : Infinity;
}

function seenBy(node: PlanNode, relation: string | undefined): number {
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Join Filter'] ?? 0);
  const isCounted = relation === undefined || (node['Relation Name']?.startsWith(relation) ?? false);
  const own = isCounted ? (node['Actual Rows'] + removed) * node['Actual Loops'] : 0;
  return (node.Plans ?? []).reduce((sum, plan) => sum + seenBy(plan, relation), own);
}
