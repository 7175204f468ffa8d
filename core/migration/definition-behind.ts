import type { ColumnType } from '../columns/vector.ts';
import type { Pipeline, Text } from '../pipeline.ts';
import type { TableChanges } from './plan.ts';
import { tableNames, tableOf } from './shape.ts';
import type { SourceChange } from './source-changes.ts';

/**
 * What a definition says otherwise than its source since the source was followed, as a sentence: a pipeline that is destroyed
 * and applied again is loaded without what migrations have found. `changes`: of those, oldest first. `newer`: of those that
 * were met since, and are not followed yet: of a column that is another by these nothing is said. Undefined: nothing.
 */
export function definitionBehind(pipeline: Pipeline<Text>, changes: readonly (readonly TableChanges[])[], newer: readonly (readonly TableChanges[])[] = []): string | undefined {
  const behind = tableNames(pipeline).flatMap((table) => {
    const ofTable = (found: readonly (readonly TableChanges[])[]) => found.map((each) => each.flatMap((of) => (of.table === table ? of.changes : [])));
    const [before, since] = [ofTable(changes), ofTable(newer)];
    return Object.entries(tableOf(pipeline, table)!.columns).flatMap(([column, { type }]) => {
      const now = before.reduce<Now>(after(column), { name: column, type: undefined });
      const next = since.reduce(after(column), now);
      if (next.name !== now.name || next.type !== now.type) return [];
      const says = now.name === undefined ? ['gone'] : [...(now.name === column ? [] : [`${now.name} now`]), ...(now.type === undefined || now.type.is === type ? [] : [`${now.type.called} now`])];
      return says.length === 0 ? [] : [`${table}.${column} is ${says.join(', and is ')}`];
    });
  });
  if (behind.length === 0) return undefined;
  return `In the source ${behind.join('; ')}, which pipelines/${pipeline.name}.ts does not say. Change it there before ./sluice destroy ${pipeline.name}: what is loaded after that knows of no migration.`;
}

/** `name`: undefined when there is none any more. `type`: undefined while it is the definition's. */
type Now = { readonly name: string | undefined; readonly type: { readonly is: ColumnType; readonly called: string } | undefined };

/** A column of the definition after changes that were found at once. */
function after(column: string) {
  return ({ name, type }: Now, batch: readonly SourceChange[]): Now => {
    const renamed = batch.find((change) => change.kind === 'renamed' && change.column === name);
    if (renamed?.kind === 'renamed') return retyped({ name: renamed.to, type }, batch);
    if (name !== undefined && !batch.some((change) => change.kind === 'dropped' && change.column === name)) return retyped({ name, type }, batch);
    // whatever has its name again is asked about as the column itself
    const back = batch.find((change) => (change.kind === 'added' && change.column === column) || (change.kind === 'renamed' && change.to === column));
    if (back?.kind === 'added') return { name: column, type: { is: back.type, called: back.typeName } };
    return back ? retyped({ name: column, type }, batch) : { name: undefined, type };
  };
}

function retyped(now: Now, batch: readonly SourceChange[]): Now {
  const change = batch.find((each) => each.kind === 'retyped' && each.column === now.name);
  return change?.kind === 'retyped' ? { ...now, type: { is: change.to, called: change.typeName } } : now;
}
