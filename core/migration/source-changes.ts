import type { ColumnType } from '../columns/vector.ts';

/** A column of a table in the source. Tables list theirs in the order of pg_attribute, as relation messages do. */
export type SourceColumn = {
  readonly name: string;
  readonly type: ColumnType;
  /** As PostgreSQL calls the type: `bigint`. */
  readonly typeName: string;
  /** Of its type; of one that nobody has looked up in the source, missing. */
  readonly oid?: number;
  /** pg_attribute.attnum, which a column keeps for its life; missing: not known, as of one that a relation message told of. */
  readonly number?: number;
};

/** What became of a table's columns. Names are those of the source. */
export type SourceChange =
  | { readonly kind: 'added'; readonly column: string; readonly type: ColumnType; readonly typeName: string }
  | { readonly kind: 'dropped'; readonly column: string }
  /** `type`: as it is now. */
  | { readonly kind: 'renamed'; readonly column: string; readonly to: string; readonly type: ColumnType }
  /** `column`: its name now. */
  | { readonly kind: 'retyped'; readonly column: string; readonly from: ColumnType; readonly to: ColumnType; readonly typeName: string };

/**
 * What turns the columns `before` into `after`. PostgreSQL appends new columns and keeps the order of the others, so a
 * new name among or before known ones is a renamed column. At the end of the table an added column and a renamed one
 * look the same: numbers tell them apart, and without numbers the same type counts as the same column. `inOrder`: `before`
 * is all that the table had, in its order.
 */
export function sourceChanges(before: readonly SourceColumn[], after: readonly SourceColumn[], { inOrder = true }: { readonly inOrder?: boolean } = {}): SourceChange[] {
  const successors = successorsOf(before, after, inOrder);
  const taken = new Set(successors.values());
  return [
    ...before.flatMap((column) => changesOf(column, successors.get(column))),
    ...after.flatMap((column): SourceChange[] => (taken.has(column) ? [] : [{ kind: 'added', column: column.name, type: column.type, typeName: column.typeName }])),
  ];
}

function changesOf(column: SourceColumn, now: SourceColumn | undefined): SourceChange[] {
  if (!now) return [{ kind: 'dropped', column: column.name }];
  return [
    ...(now.name === column.name ? [] : [{ kind: 'renamed', column: column.name, to: now.name, type: now.type } as const]),
    ...(now.type === column.type ? [] : [{ kind: 'retyped', column: now.name, from: column.type, to: now.type, typeName: now.typeName } as const]),
  ];
}

/** What each column is now; those that are gone have none. */
function successorsOf(before: readonly SourceColumn[], after: readonly SourceColumn[], inOrder: boolean): ReadonlyMap<SourceColumn, SourceColumn> {
  const found = new Map<SourceColumn, SourceColumn>();
  const free = new Set(after);
  const pair = (column: SourceColumn, now: SourceColumn | undefined) => {
    if (!now) return;
    found.set(column, now);
    free.delete(now);
  };
  for (const column of before) pair(column, after.find((each) => free.has(each) && isSame(column, each)));
  const byName = before.filter((column) => !found.has(column)).flatMap((column) => after.filter((each) => free.has(each) && each.name === column.name && mayBeSame(column, each)).map((now) => [column, now] as const));
  for (const [column, now] of inOrder ? keepingOrder(before, after, byName, [...found]) : byName) pair(column, now);
  for (const column of before) if (!found.has(column)) pair(column, after.find((each) => free.has(each) && isRenamed(column, each, { before, after, found })));
  return found;
}

type Pair = readonly [before: SourceColumn, now: SourceColumn];

/** Of pairs that have a name in common, those that can be one column, beside others that are. */
function keepingOrder(before: readonly SourceColumn[], after: readonly SourceColumn[], pairs: readonly Pair[], sure: readonly Pair[]): readonly Pair[] {
  const places = ([column, now]: Pair) => [before.indexOf(column), after.indexOf(now)] as const;
  const possible = pairs.filter((pair) => places(pair)[0] >= places(pair)[1]);
  return possible.filter((pair) => {
    const [was, is] = places(pair);
    return ![...possible, ...sure].some((other) => places(other)[0] < was !== places(other)[1] < is && other !== pair);
  });
}

/** Whether columns of these names can be those that had them before: PostgreSQL keeps their order, and appends new ones. */
export function keepsOrder(before: readonly string[], now: readonly string[]): boolean {
  const places = before.flatMap((name, was) => (now.includes(name) ? [{ was, is: now.indexOf(name) }] : []));
  return places.every(({ was, is }, index) => is <= was && (index === 0 || places[index - 1]!.is < is));
}

/** For sure. */
function isSame(column: SourceColumn, now: SourceColumn): boolean {
  return column.number !== undefined && column.number === now.number;
}

function mayBeSame(column: SourceColumn, now: SourceColumn): boolean {
  return column.number === undefined || now.number === undefined || column.number === now.number;
}

type Pairing = { readonly before: readonly SourceColumn[]; readonly after: readonly SourceColumn[]; readonly found: ReadonlyMap<SourceColumn, SourceColumn> };

/** By its place between columns that are known again. */
function isRenamed(column: SourceColumn, now: SourceColumn, { before, after, found }: Pairing): boolean {
  if (!mayBeSame(column, now)) return false;
  const place = after.indexOf(now);
  const at = before.indexOf(column);
  const neighbours = before.flatMap((each, index) => (found.has(each) ? [{ index, place: after.indexOf(found.get(each)!) }] : []));
  if (neighbours.some((each) => each.index < at !== each.place < place)) return false;
  const isBeforeKnown = neighbours.some((each) => each.place > place);
  return isBeforeKnown || now.type === column.type;
}
