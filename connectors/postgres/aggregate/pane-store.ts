import { createHash } from 'node:crypto';
import type { Position } from '../../../core/position.ts';
import { isExtreme } from '../../../core/views/extremes.ts';
import type { Aside, OfTransaction, PaneRange } from '../../../core/views/fold.ts';
import type { PaneDeltas, PaneSet } from '../../../core/views/panes.ts';
import { unhurried, type Queryable } from '../state/state.ts';
import { bothParts, hasLostExtreme, mergedParts } from './merged-panes.ts';

/** The panes of a set as a table, `sluice.panes_<pipeline>_<set>`, and what is kept of its changes: late ones, and those beside a backfill. */
export class PaneStore {
  readonly set: PaneSet;
  readonly table: string;
  readonly #pipeline: string;
  readonly #columns: readonly string[];
  /** Undefined: it has no extremes. */
  readonly #hasLost: string | undefined;
  readonly #adding: { readonly name: string; readonly text: string };
  readonly #replacing: { readonly name: string; readonly text: string };

  constructor(pipeline: string, set: PaneSet) {
    this.set = set;
    this.table = paneTable(pipeline, set);
    this.#pipeline = pipeline;
    this.#columns = set.accumulators.map(({ name }) => quoted(name));
    this.#hasLost = hasLostExtreme(set, (place) => `panes.${this.#columns[place]}`);
    const parameters = this.#columns.map((_, index) => `$${index + 3}::bigint[]`).join(', ');
    this.#replacing = prepared('replace panes', this.#replacingSql());
    this.#adding = prepared('add to panes', this.#inserting(`select * from unnest($1::bigint[], $2::text[], ${parameters})`));
  }

  async create(client: Queryable): Promise<void> {
    const columns = this.#columns.map((column, place) => `, ${column} bigint${isExtreme(this.set.accumulators[place]!) ? '' : ' not null'}`).join('');
    // updates of a pane stay on its page: no index has a sum
    await client.query(
      `create table if not exists ${this.table} (pane_ms bigint not null, key text collate "C" not null${columns}, primary key (pane_ms, key))
       with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.2)`,
    );
  }

  /** Returns panes that have lost an extreme now, and have rows left (E15). */
  async add(client: Queryable, deltas: PaneDeltas): Promise<readonly number[]> {
    if (deltas.count === 0) return [];
    const { rows } = await client.query<{ pane_ms: string }>({ ...this.#adding, values: [bigints(deltas.panes), texts(deltas.keys), ...this.#accumulators(deltas)] });
    return rows.map((row) => Number(row.pane_ms));
  }

  #accumulators(deltas: PaneDeltas): readonly string[] {
    return deltas.values.map((each, place) => (isExtreme(this.set.accumulators[place]!) ? `{${Array.from(each, bigintOrNull).join(',')}}` : bigints(each)));
  }

  /** Parts of panes come to what there is of them; with the marks of those that lose an extreme by it, which are returned. */
  #inserting(parts: string): string {
    const added = bothParts(this.set, (place) => `panes.${this.#columns[place]}`, (place) => `excluded.${this.#columns[place]}`);
    const insert = `insert into ${this.table} as panes ${parts}
             on conflict (pane_ms, key) do update set ${this.#columns.map((column, place) => `${column} = ${added[place]}`).join(', ')}`;
    if (this.#hasLost === undefined) return insert;
    return `with added as (${insert} returning pane_ms, ${this.#hasLost} as has_lost), lost as (select distinct pane_ms from added where has_lost),
             marked as (insert into sluice.retracted_pane select ${literal(this.#pipeline)}, ${literal(this.set.name)}, pane_ms from lost on conflict do nothing)
             select pane_ms from lost order by pane_ms`;
  }

  /** A transaction may come in several pieces: its rows add up. */
  async setAside(client: Queryable, aside: readonly Aside[]): Promise<void> {
    const rows = aside.flatMap((each) => byKey(each).map((row) => ({ ...row, reason: each.reason })));
    if (rows.length === 0) return;
    await client.query({
      ...this.#named('set aside'),
      text: `insert into sluice.late as kept (pipeline, pane_set, pane_ms, key, position, deltas, reason)
             select $1, $2, pane_ms, key, position, deltas::bigint[], reason
             from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) as added (pane_ms, key, position, deltas, reason)
             on conflict (pipeline, pane_set, pane_ms, key, position, reason) do update set deltas = ${this.#bothDeltas}`,
      values: [...this.#values(rows), rows.map(({ reason }) => reason)],
    });
  }

  async keepChanges(client: Queryable, kept: readonly OfTransaction[]): Promise<void> {
    const rows = kept.flatMap(byKey);
    if (rows.length === 0) return;
    await client.query({
      ...this.#named('keep changes'),
      text: `insert into sluice.kept_change as kept (pipeline, pane_set, pane_ms, key, position, deltas)
             select $1, $2, pane_ms, key, position, deltas::bigint[] from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) as added (pane_ms, key, position, deltas)
             on conflict (pipeline, pane_set, pane_ms, key, position) do update set deltas = ${this.#bothDeltas}`,
      values: this.#values(rows),
    });
  }

  /** E18: the changes from `base` on come to what a snapshot has there; those before it are in the snapshot. What is as it is to be is not written. */
  async replace(client: Queryable, { fromMs, toMs }: PaneRange, panes: PaneDeltas, base: Position): Promise<void> {
    const range = [this.#pipeline, this.set.name, fromMs, toMs];
    const inRange = 'where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4';
    await client.query(`delete from sluice.retracted_pane ${inRange}`, range);
    await client.query({ ...this.#replacing, values: [...range, base, bigints(panes.panes), texts(panes.keys), ...this.#accumulators(panes)] });
    await client.query(`delete from sluice.kept_change ${inRange}`, range);
    await client.query(`delete from sluice.late ${inRange} and position < $5`, [...range, base]);
    await client.query('insert into sluice.pane_base (pipeline, pane_set, from_ms, to_ms, base) values ($1, $2, $3, $4, $5) on conflict (pipeline, pane_set, from_ms, to_ms) do update set base = excluded.base', [...range, base]);
  }

  /** A full join has no plan that looks at each pair. */
  #replacingSql(): string {
    const columns = this.#columns.join(', ');
    const places = this.#columns.map((_, place) => `a${place}`);
    const kept = places.map((name, place) => `deltas[${place + 1}] as ${name}`).join(', ');
    const parts = `select * from unnest($6::bigint[], $7::text[], ${places.map((_, place) => `$${place + 8}::bigint[]`).join(', ')}) as snapshot (pane_ms, key, ${places.join(', ')})
             union all select pane_ms, key, ${kept} from sluice.kept_change where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4 and position >= $5`;
    const hasLost = hasLostExtreme(this.set, (place) => `a${place}`);
    const marked = hasLost === undefined ? '' : `, marked as (insert into sluice.retracted_pane select distinct $1, $2, pane_ms from wanted where ${hasLost})`;
    return `with wanted as materialized (${mergedParts(this.set, parts)}),
             changed as materialized (
               select pane_ms, key, wanted.pane_ms is null as is_gone, ${places.map((name) => `wanted.${name}`).join(', ')}
               from wanted full join (select * from ${this.table} where pane_ms >= $3 and pane_ms < $4) panes using (pane_ms, key)
               where row(${places.map((name) => `wanted.${name}`).join(', ')}) is distinct from row(${this.#columns.map((name) => `panes.${name}`).join(', ')})),
             gone as (delete from ${this.table} panes using changed where changed.is_gone and panes.pane_ms = changed.pane_ms and panes.key = changed.key and panes.pane_ms >= $3 and panes.pane_ms < $4)${marked}
             insert into ${this.table} (pane_ms, key, ${columns}) select pane_ms, key, ${places.join(', ')} from changed where not changed.is_gone
             on conflict (pane_ms, key) do update set ${this.#columns.map((column) => `${column} = excluded.${column}`).join(', ')}`;
  }

  async basesOf(client: Queryable, panes: Iterable<number>): Promise<ReadonlyMap<number, Position>> {
    const { rows } = await client.query<{ pane_ms: string; base: Position }>(
      `select pane_ms, max(base) as base from unnest($3::bigint[]) as wanted (pane_ms)
         join sluice.pane_base on pipeline = $1 and pane_set = $2 and from_ms <= pane_ms and pane_ms < to_ms group by pane_ms`,
      [this.#pipeline, this.set.name, bigints([...new Set(panes)])],
    );
    return new Map(rows.map(({ pane_ms, base }) => [Number(pane_ms), base]));
  }

  /** Nothing of what came so far counts any more (E8). */
  async clear(client: Queryable): Promise<void> {
    await client.query(unhurried({ text: `delete from ${this.table}` }));
    await this.#deleteKept(client, ['late', 'kept_change', 'retracted_pane']);
  }

  async forgetChanges(client: Queryable): Promise<void> {
    await this.#deleteKept(client, ['kept_change']);
  }

  /** A load starts over; what is there may have had other sums. */
  async forget(client: Queryable): Promise<void> {
    await client.query(`drop table if exists ${this.table}`);
    await this.create(client);
    await this.#deleteKept(client, ['late', 'kept_change', 'retracted_pane', 'pane_base']);
  }

  async trim(client: Queryable, horizonMs: number): Promise<void> {
    await client.query(unhurried({ text: `delete from ${this.table} where pane_ms < $1`, values: [horizonMs] }));
    for (const table of ['late', 'kept_change', 'retracted_pane']) await client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1 and pane_set = $2 and pane_ms < $3`, values: [this.#pipeline, this.set.name, horizonMs] }));
    await client.query('delete from sluice.pane_base where pipeline = $1 and pane_set = $2 and to_ms <= $3', [this.#pipeline, this.set.name, horizonMs]);
  }

  async latePanes(client: Queryable, from: number, before: number): Promise<readonly number[]> {
    const { rows } = await client.query<{ pane_ms: string }>(
      'select distinct pane_ms from sluice.late where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4 order by pane_ms',
      [this.#pipeline, this.set.name, from, before],
    );
    return rows.map((row) => Number(row.pane_ms));
  }

  /** Of those that are marked: what has been lost may have come again. */
  async retractedPanes(client: Queryable, from: number, before: number): Promise<readonly number[]> {
    if (this.#hasLost === undefined) return [];
    const { rows } = await client.query<{ pane_ms: string }>(
      `select pane_ms from sluice.retracted_pane marked where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4
         and exists (select from ${this.table} panes where panes.pane_ms = marked.pane_ms and ${this.#hasLost}) order by pane_ms`,
      [this.#pipeline, this.set.name, from, before],
    );
    return rows.map((row) => Number(row.pane_ms));
  }

  async #deleteKept(client: Queryable, tables: readonly string[]): Promise<void> {
    for (const table of tables) await client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1 and pane_set = $2`, values: [this.#pipeline, this.set.name] }));
  }

  #values(rows: readonly KeptRow[]): unknown[] {
    return [this.#pipeline, this.set.name, bigints(rows.map(({ pane }) => pane)), rows.map(({ key }) => key), rows.map(({ position }) => position), rows.map((row) => row.deltas)];
  }

  /** Of a row that is there, called kept, and one that comes to it. */
  get #bothDeltas(): string {
    if (this.#hasLost === undefined) return '(select array_agg(before + more order by place) from unnest(kept.deltas, excluded.deltas) with ordinality as both_deltas (before, more, place))';
    return `array[${bothParts(this.set, (place) => `kept.deltas[${place + 1}]`, (place) => `excluded.deltas[${place + 1}]`).join(', ')}]`;
  }

  /** A statement that is the same for all sets that only add up has a name. */
  #named(name: string): { name?: string } {
    return this.#hasLost === undefined ? { name } : {};
  }

  /** Starts of the panes in [from, before) that have rows: a skip scan, for there may be many keys a pane. */
  async panesBetween(client: Queryable, from: number, before: number): Promise<readonly number[]> {
    const { rows } = await client.query<{ pane_ms: string }>(
      `with recursive pane as (
         (select pane_ms from ${this.table} where pane_ms >= $1 and pane_ms < $2 order by pane_ms limit 1)
         union all
         select (select pane_ms from ${this.table} where pane_ms > pane.pane_ms and pane_ms < $2 order by pane_ms limit 1) from pane where pane.pane_ms is not null
       ) select pane_ms from pane where pane_ms is not null`,
      [from, before],
    );
    return rows.map((row) => Number(row.pane_ms));
  }
}

type KeptRow = { readonly pane: number; readonly key: string; readonly position: Position; readonly deltas: string };

function byKey({ position, deltas }: OfTransaction): KeptRow[] {
  return deltas.keys.map((key, index) => ({ pane: deltas.panes[index]!, key, position, deltas: `{${deltas.values.map((values) => bigintOrNull(values[index]!)).join(',')}}` }));
}

/** An extreme of nothing is NULL. */
function bigintOrNull(value: number): string {
  return Number.isNaN(value) ? 'NULL' : String(value);
}

export function paneTable(pipeline: string, set: Pick<PaneSet, 'name'>): string {
  return `sluice.${quoted(fitting(`panes_${pipeline}_${set.name}`))}`;
}

/** Postgres cuts a name after 63 bytes, and then two could be one. */
function fitting(name: string): string {
  return name.length <= 63 ? name : `${name.slice(0, 54)}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

/** A statement with a name that no other text has, as a connection may have known a table when it was another. */
export function prepared(name: string, text: string): { readonly name: string; readonly text: string } {
  return { name: `${name} ${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text };
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Arrays in Postgres' text format: much cheaper than letting the driver quote each element. */
export function bigints(values: Pick<readonly number[], 'join'>): string {
  return `{${values.join(',')}}`;
}

function texts(values: readonly string[]): string {
  const isPlain = values.every((value) => !value.includes('"') && !value.includes('\\'));
  const quotedValues = isPlain ? values : values.map((value) => value.replaceAll(/["\\]/g, '\\$&'));
  return values.length === 0 ? '{}' : `{"${quotedValues.join('","')}"}`;
}
