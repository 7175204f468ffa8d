import { BadInput } from '../bad-input.ts';
import { quotedName } from '../sql-names.ts';
import { groupingColumn } from './grouping.ts';
import { relationOf, type ColumnFacts, type SourceFacts, type TableFacts } from './source-facts.ts';
import { keyCandidates, tableRefusal, timeCandidates } from './table-fit.ts';

/** A choice: made by a flag or because there is one possibility, or to be asked. The first option is the suggestion. */
export type Question<T> = { readonly tag: 'settled'; readonly value: T } | { readonly tag: 'open'; readonly text: string; readonly flag: string; readonly options: readonly Option<T>[]; readonly notes: readonly string[] };
export type Option<T> = { readonly typed: string; readonly about: string; readonly value: T };

export const sinkKinds = ['clickhouse', 'redis', 'results'] as const;
export type SinkKind = (typeof sinkKinds)[number];

/** Throws BadInput: there is no such table, or none that a pipeline can have as its events. */
export function tableQuestion(facts: SourceFacts, given: string | undefined): Question<TableFacts> {
  if (given !== undefined) {
    const found = facts.tables.find((table) => [relationOf(table), table.sql].includes(given)) ?? facts.tables.find(({ schema, name }) => schema === 'public' && name === given);
    if (!found) throw new BadInput(`There is no table ${given} in ${facts.database} that ${facts.role} sees (views and foreign tables have no change stream; of a partition, name the partitioned table). There are: ${facts.tables.map(relationOf).join(', ') || 'none'}`);
    const refusal = tableRefusal(found, facts);
    if (refusal !== undefined) throw new BadInput(refusal);
    return settled(found);
  }
  const refusals = facts.tables.map((table) => tableRefusal(table, facts));
  const fitting = facts.tables.filter((_, index) => refusals[index] === undefined).toSorted((a, b) => (b.rows ?? -1) - (a.rows ?? -1));
  const notes = refusals.filter((each) => each !== undefined);
  if (fitting.length === 0) throw new BadInput([`${facts.database} has no table that a pipeline can read.`, ...notes].join('\n'));
  return question('Whose changes are the events?', '--table', fitting.map((table) => ({ typed: relationOf(table), about: tableText(table, facts), value: table })), notes);
}

export function timeQuestion(table: TableFacts, facts: SourceFacts, given: string | undefined): Question<ColumnFacts> {
  const candidates = timeCandidates(table, facts);
  if (given !== undefined) return settled(named(table, given, candidates, '--event-time', 'an event time is a timestamptz or timestamp that a definition can name'));
  const dates = table.columns.filter(({ type }) => type === 'date').map(({ name }) => `${name} is a date, which is no event time`);
  return question(`Which column says when a row of ${relationOf(table)} happened?`, '--event-time', candidates.map((column) => ({ typed: column.name, about: timeText(column), value: column })), dates);
}

/** The primary key if it can be; other unique columns are asked about only without one. */
export function keyQuestion(table: TableFacts, facts: SourceFacts, given: string | undefined): Question<ColumnFacts> {
  const candidates = keyCandidates(table, facts);
  if (given !== undefined) return settled(named(table, given, candidates, '--key', 'a key is text, uuid, an integer or a boolean, NOT NULL, and unique alone'));
  const primary = candidates.filter(({ name }) => table.primaryKey.includes(name));
  if (primary.length === 1) return settled(primary[0]!);
  return question(`Which column is the key of ${relationOf(table)}?`, '--key', candidates.map((column) => ({ typed: column.name, about: column.typeName, value: column })), []);
}

/** Of a chosen table: which destinations. Throws BadInput for one that this table cannot have. */
export function sinksQuestion(chosen: { readonly table: TableFacts; readonly eventTime: ColumnFacts; readonly key: ColumnFacts }, facts: SourceFacts, given: string | undefined): Question<readonly SinkKind[]> {
  const { table, eventTime, key } = chosen;
  const problems: Readonly<Record<SinkKind, string | undefined>> = {
    clickhouse: partitionColumn(table, eventTime, facts) ? undefined : `rows in ClickHouse have a partition for each day of a NOT NULL column, and ${relationOf(table)} has no such time or date. Type in the source: ALTER TABLE ${table.sql} ALTER COLUMN ${quotedName(eventTime.name)} SET NOT NULL;`,
    ...(groupingColumn(table, key.name, facts) ? { redis: undefined, results: undefined } : { redis: noView(table), results: noView(table) }),
  };
  if (given !== undefined) {
    const kinds = given.split(',').map((each) => each.trim());
    const unknown = kinds.find((each) => !(sinkKinds as readonly string[]).includes(each));
    if (unknown !== undefined) throw new BadInput(`--sinks ${given}: there is no destination ${JSON.stringify(unknown)}. There are ${sinkKinds.join(', ')}; http needs an address and a secret, see pipelines/engagement.ts.`);
    const chosenKinds = sinkKinds.filter((kind) => kinds.includes(kind));
    for (const kind of chosenKinds) if (problems[kind] !== undefined) throw new BadInput(`--sinks ${kind}: ${problems[kind]}`);
    return settled(chosenKinds);
  }
  const possible = sinkKinds.filter((kind) => problems[kind] === undefined);
  const about = { clickhouse: 'every row, in ClickHouse', redis: 'the newest window, in Redis', results: 'each window, in a Postgres table' };
  const notes = sinkKinds.flatMap((kind) => (problems[kind] === undefined ? [] : [`not ${kind}: ${problems[kind]}`]));
  if (possible.length === 0) throw new BadInput([`${relationOf(table)} fits no destination.`, ...notes].join('\n'));
  return question('Where to?', '--sinks', subsets(possible).map((kinds) => ({ typed: kinds.join(','), about: kinds.map((kind) => about[kind]).join('; '), value: kinds })), notes);
}

/** ClickHouse's: the event time, or if that can be NULL another time that cannot. */
export function partitionColumn(table: TableFacts, eventTime: ColumnFacts, given: SourceFacts): ColumnFacts | undefined {
  if (!eventTime.nullable) return eventTime;
  const date = table.columns.find(({ type, nullable, name }) => type === 'date' && !nullable && !name.startsWith('_'));
  return timeCandidates(table, given).find(({ nullable }) => !nullable) ?? date;
}

/** Every choice of some of them, all of them first. */
function subsets<T>(all: readonly T[]): T[][] {
  const found = all.reduce<T[][]>((smaller, each) => [...smaller, ...smaller.map((some) => [...some, each])], [[]]);
  return found.filter((some) => some.length > 0).toSorted((a, b) => b.length - a.length);
}

function noView(table: TableFacts): string {
  return `it shows a view, and ${relationOf(table)} has no column by which to count at once (a reference, or text of few values by the statistics of ANALYZE). Take clickhouse, and write a view into the file`;
}

function named(table: TableFacts, given: string, candidates: readonly ColumnFacts[], flag: string, rule: string): ColumnFacts {
  const found = candidates.find(({ name }) => name === given);
  if (found) return found;
  const column = table.columns.find(({ name }) => name === given);
  const what = column ? `${relationOf(table)}.${given} (${column.typeName}${column.nullable ? ', can be NULL' : ''}) cannot be it: ${rule}` : `${relationOf(table)} has no column ${given}`;
  throw new BadInput(`${flag} ${given}: ${what}. It can be: ${candidates.map(({ name }) => name).join(', ')}`);
}

function question<T>(text: string, flag: string, options: readonly Option<T>[], notes: readonly string[]): Question<T> {
  return options.length === 1 ? settled(options[0]!.value) : { tag: 'open', text, flag, options, notes };
}

function settled<T>(value: T): Question<T> {
  return { tag: 'settled', value };
}

function tableText(table: TableFacts, facts: SourceFacts): string {
  const rows = table.rows === null ? 'rows not counted yet' : `about ${Math.round(table.rows).toLocaleString('en')} rows`;
  const key = table.primaryKey.length > 0 ? `primary key (${table.primaryKey.join(', ')})` : `no primary key, unique ${table.unique.join(', ')}`;
  return `${rows}${table.partitioned ? ', partitioned' : ''}; ${key}; replica identity ${table.replicaIdentity}; times: ${timeCandidates(table, facts).map(({ name }) => name).join(', ')}`;
}

function timeText({ typeName, indexed, nullable }: ColumnFacts): string {
  return `${typeName}${indexed ? ', has an index' : ''}${nullable ? ', can be NULL: such rows are in no window' : ''}`;
}
