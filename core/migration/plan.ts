import type { ColumnType } from '../columns/vector.ts';
import { rowSinks } from '../backfill.ts';
import { expressionTypes } from '../define/columns.ts';
import { columnsIn } from '../expressions/expression.ts';
import type { ColumnSchema, Pipeline, Text } from '../pipeline.ts';
import { tableOf, usesOf, withColumns, type ColumnShape, type Shape, type Uses } from './shape.ts';
import type { SourceChange } from './source-changes.ts';

/** What became of a table, by its name in the definition. */
export type TableChanges = { readonly table: string; readonly changes: readonly SourceChange[] };

export type Decision = 'approve' | 'reject';

/** What a decision leads to; `why` it cannot be taken. */
export type Outcome = { readonly possible: true; readonly shape: Shape; readonly says: readonly string[] } | { readonly possible: false; readonly why: readonly string[] };

/**
 * nothing: no column of the definition changed. automatic: what is safe, and done without asking. approval: somebody must
 * say which. impossible: neither can be done.
 */
export type Verdict = 'nothing' | 'automatic' | 'approval' | 'impossible';

export type MigrationPlan = {
  readonly verdict: Verdict;
  /** A line for each change of the source. */
  readonly changes: readonly string[];
  readonly approve: Outcome;
  readonly reject: Outcome;
};

/** What changes of the source mean for a pipeline. `pipeline`: as it is defined; `shape`: as it is found so far. */
export function planMigration(pipeline: Pipeline<Text>, shape: Shape, tables: readonly TableChanges[]): MigrationPlan {
  const fates = tables.flatMap(({ table, changes }) => fatesOf(pipeline, shape, table, changes));
  const changes = tables.flatMap(({ table, changes: each }) => each.map((change) => changeText(tableOf(pipeline, table)!.relation, change)));
  const approve = outcome(pipeline, shape, fates, 'approve');
  const reject = outcome(pipeline, shape, fates, 'reject');
  return { verdict: verdictOf(fates, approve, reject), changes, approve, reject };
}

function verdictOf(fates: readonly Fate[], approve: Outcome, reject: Outcome): Verdict {
  if (fates.length === 0) return 'nothing';
  if (approve.possible && fates.every(({ isSafe }) => isSafe)) return 'automatic';
  return approve.possible || reject.possible ? 'approval' : 'impossible';
}

/** What becomes of a column of the definition. */
type Fate = {
  readonly table: string;
  readonly column: string;
  /** In the source, from now on; undefined: it is gone. */
  readonly now: { readonly name: string; readonly type: ColumnType } | undefined;
  readonly before: { readonly name: string; readonly type: ColumnType };
  /** It was not read any more until now. */
  readonly isLost: boolean;
  readonly isSafe: boolean;
};

function fatesOf(pipeline: Pipeline<Text>, shape: Shape, table: string, changes: readonly SourceChange[]): Fate[] {
  return Object.entries(tableOf(pipeline, table)!.columns).flatMap(([column, schema]): Fate[] => {
    const { from = column, type = schema.type, lost } = shape[table]?.[column] ?? {};
    const fate = { table, column, before: { name: from, type }, isLost: lost !== undefined, isSafe: false };
    if (lost !== undefined) return cameBack(from, changes).map((now) => ({ ...fate, now: { name: from, type: now } }));
    const added = changes.find((change) => change.kind === 'added' && change.column === from);
    if (changes.some((change) => change.kind === 'dropped' && change.column === from)) {
      const now = added?.kind === 'added' ? { name: from, type: added.type } : undefined;
      return [{ ...fate, now }];
    }
    const renamed = changes.find((change) => change.kind === 'renamed' && change.column === from);
    const name = renamed?.kind === 'renamed' ? renamed.to : from;
    const retyped = changes.find((change) => change.kind === 'retyped' && change.column === name);
    if (!renamed && !retyped) return [];
    const now = { name, type: retyped?.kind === 'retyped' ? retyped.to : type };
    return [{ ...fate, now, isSafe: !renamed && isWider(type, now.type) }];
  });
}

/** The type of what has the name of a lost column again, if there is such a one since these changes. */
function cameBack(name: string, changes: readonly SourceChange[]): ColumnType[] {
  return changes
    .flatMap((change) => {
      if (change.kind === 'added' && change.column === name) return [change.type];
      if (change.kind === 'renamed' && change.to === name) return [change.type];
      return change.kind === 'retyped' && change.column === name ? [change.to] : [];
    })
    .slice(0, 1);
}

/** Every value of the one is one of the other, and is written the same. */
export function isWider(from: ColumnType, to: ColumnType): boolean {
  return wider[from]?.includes(to) ?? false;
}

const wider: Partial<Record<ColumnType, readonly ColumnType[]>> = { int2: ['int4', 'int8'], int4: ['int8'], float4: ['float8'] };

function outcome(pipeline: Pipeline<Text>, shape: Shape, fates: readonly Fate[], decision: Decision): Outcome {
  let next = shape;
  const says: string[] = [];
  const why: string[] = [];
  for (const fate of fates) {
    const schema = tableOf(pipeline, fate.table)!.columns[fate.column]!;
    const { was = [], ...before } = shape[fate.table]?.[fate.column] ?? {};
    const uses = usesOf(pipeline, fate.table, fate.column);
    const found = decision === 'approve' ? approved(fate, schema, was, uses) : fate.isLost ? { shape: before, says: `${nameOf(fate)} stays as it is, without what the source has` } : emptied(fate, uses, ofRows(pipeline, fate) ? rowSinks(pipeline) : []);
    if ('why' in found) why.push(found.why);
    else {
      next = withColumns(next, fate.table, { [fate.column]: found.shape });
      says.push(found.says);
    }
  }
  return why.length > 0 ? { possible: false, why } : { possible: true, shape: next, says };
}

type Found = { readonly shape: ColumnShape; readonly says: string } | { readonly why: string };

function approved(fate: Fate, schema: ColumnSchema, was: readonly string[], uses: Uses): Found {
  const { now, before } = fate;
  const name = nameOf(fate);
  if (!now) {
    const all = [...uses.bound, ...uses.read];
    if (all.length > 0) return { why: `${name} cannot be removed: it is ${all.join(', ')}.` };
    return { shape: { lost: 'removed' }, says: `${name} is removed: rows and the tables of sinks are without it from there on` };
  }
  const place = now.name === fate.column ? {} : { from: now.name };
  const type = now.type === schema.type ? {} : { type: now.type };
  const names = now.name === before.name ? was : [...was.filter((each) => each !== now.name), before.name];
  const says = [
    ...(now.name === before.name ? [] : [`is read from ${now.name}; in rows and sinks it keeps its name`]),
    ...(now.type === before.type ? [] : [`becomes ${now.type} in rows and in the tables of sinks (if the ALTER made other values of those that were there, ./sluice backfill takes them over)`]),
  ];
  if (now.type !== before.type) {
    if (fate.table !== 'events' && !isWider(before.type, now.type)) return { why: `${name} cannot become ${now.type}: rows of ${fate.table} are kept as they were at any time, with values of ${before.type}.` };
    if (uses.bound.length > 0) return { why: `${name} cannot become ${now.type}: it is ${uses.bound.join(', ')}.` };
    const isReadAs = expressionTypes[before.type];
    if (uses.read.length > 0 && expressionTypes[now.type] !== isReadAs) return { why: `${name} cannot become ${now.type}: it is ${uses.read.join(', ')}, which takes ${isReadAs}.` };
  }
  return { shape: { ...place, ...type, ...(names.length > 0 ? { was: names } : {}) }, says: `${name} ${[...(fate.isLost ? ['is read again (rows and windows of the time between have it after ./sluice backfill)'] : []), ...says].join(', and ')}` };
}

/** The old shape is kept, and the column is ignored. */
function emptied(fate: Fate, { bound, read }: Uses, sinks: readonly string[]): Found {
  const name = nameOf(fate);
  if (bound.length > 0) return { why: `${name} cannot be empty: it is ${bound.join(', ')}.` };
  const { name: from, type } = fate.before;
  const says = [
    `${name} is NULL from there on${read.length > 0 ? `, and it is ${read.join(', ')}` : ''}`,
    // what it had before is in them alone
    ...(sinks.length > 0 ? [`rows of ${sinks.join(', ')} can no more be repaired or written again alone, but only by a load of everything`] : []),
  ];
  return { shape: { lost: 'empty', type, ...(from === fate.column ? {} : { from }) }, says: says.join('; ') };
}

/** Rows have it, or what is computed from it. */
function ofRows({ row }: Pipeline<Text>, { table, column }: Fate): boolean {
  return Object.values(row).some((expression) => columnsIn(expression).some((each) => each.table === table && each.column === column));
}

function nameOf({ table, column }: Fate): string {
  return `${table}.${column}`;
}

export function changeText(relation: string, change: SourceChange): string {
  switch (change.kind) {
    case 'added':
      return `${relation}: column ${change.column} (${change.typeName}) was added`;
    case 'dropped':
      return `${relation}: column ${change.column} was dropped`;
    case 'renamed':
      return `${relation}: column ${change.column} was renamed to ${change.to}`;
    case 'retyped':
      return `${relation}: column ${change.column} is ${change.typeName} now (it was ${change.from})`;
  }
}
