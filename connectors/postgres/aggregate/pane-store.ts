import { createHash } from 'node:crypto';
import type { Position } from '../../../core/position.ts';
import type { Aside, OfTransaction, PaneRange } from '../../../core/views/fold.ts';
import type { PaneDeltas, PaneSet } from '../../../core/views/panes.ts';
import { unhurried, type Queryable } from '../state/state.ts';

/** The panes of a set as a table, `sluice.panes_<pipeline>_<set>`, and what is kept of its changes: late ones, and those beside a backfill. */
export class PaneStore {
  readonly set: PaneSet;
  readonly table: string;
  readonly #pipeline: string;
  readonly #columns: readonly string[];
  readonly #adding: { readonly name: string; readonly text: string };

  constructor(pipeline: string, set: PaneSet) {
    this.set = set;
    this.table = paneTable(pipeline, set);
    this.#pipeline = pipeline;
    this.#columns = set.accumulators.map(({ name }) => quoted(name));
    const parameters = this.#columns.map((_, index) => `$${index + 3}::bigint[]`).join(', ');
    this.#adding = prepared('add to panes', `insert into ${this.table} as panes select * from unnest($1::bigint[], $2::text[], ${parameters}) on conflict (pane_ms, key) do update set ${this.#added}`);
  }

  async create(client: Queryable): Promise<void> {
    const columns = this.#columns.map((column) => `, ${column} bigint not null`).join('');
    // updates of a pane stay on its page: no index has a sum
    await client.query(
      `create table if not exists ${this.table} (pane_ms bigint not null, key text collate "C" not null${columns}, primary key (pane_ms, key))
       with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.2)`,
    );
  }

  async add(client: Queryable, deltas: PaneDeltas): Promise<void> {
    if (deltas.count === 0) return;
    await client.query({ ...this.#adding, values: [bigints(deltas.panes), texts(deltas.keys), ...deltas.values.map(bigints)] });
  }

  /** A transaction may come in several pieces: its rows add up. */
  async setAside(client: Queryable, aside: readonly Aside[]): Promise<void> {
    const rows = aside.flatMap((each) => byKey(each).map((row) => ({ ...row, reason: each.reason })));
    if (rows.length === 0) return;
    await client.query({
      name: 'set aside',
      text: `insert into sluice.late as kept (pipeline, pane_set, pane_ms, key, position, deltas, reason)
             select $1, $2, pane_ms, key, position, deltas::bigint[], reason
             from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) as added (pane_ms, key, position, deltas, reason)
             on conflict (pipeline, pane_set, pane_ms, key, position, reason) do update set deltas = ${bothDeltas}`,
      values: [...this.#values(rows), rows.map(({ reason }) => reason)],
    });
  }

  async keepChanges(client: Queryable, kept: readonly OfTransaction[]): Promise<void> {
    const rows = kept.flatMap(byKey);
    if (rows.length === 0) return;
    await client.query({
      name: 'keep changes',
      text: `insert into sluice.kept_change as kept (pipeline, pane_set, pane_ms, key, position, deltas)
             select $1, $2, pane_ms, key, position, deltas::bigint[] from unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) as added (pane_ms, key, position, deltas)
             on conflict (pipeline, pane_set, pane_ms, key, position) do update set deltas = ${bothDeltas}`,
      values: this.#values(rows),
    });
  }

  /** E18: the changes from `base` on come to what a snapshot has there; those before it are in the snapshot. */
  async replace(client: Queryable, { fromMs, toMs }: PaneRange, panes: PaneDeltas, base: Position): Promise<void> {
    const range = [this.#pipeline, this.set.name, fromMs, toMs];
    const inRange = 'where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4';
    await client.query(`delete from ${this.table} where pane_ms >= $1 and pane_ms < $2`, [fromMs, toMs]);
    await this.add(client, panes);
    const sums = this.#columns.map((_, place) => `sum(deltas[${place + 1}])::bigint`).join(', ');
    await client.query(
      `insert into ${this.table} as panes select pane_ms, key, ${sums} from sluice.kept_change ${inRange} and position >= $5 group by pane_ms, key
       on conflict (pane_ms, key) do update set ${this.#added}`,
      [...range, base],
    );
    await client.query(`delete from sluice.kept_change ${inRange}`, range);
    await client.query(`delete from sluice.late ${inRange} and position < $5`, [...range, base]);
    await client.query('insert into sluice.pane_base (pipeline, pane_set, from_ms, to_ms, base) values ($1, $2, $3, $4, $5) on conflict (pipeline, pane_set, from_ms, to_ms) do update set base = excluded.base', [...range, base]);
  }

  async basesOf(client: Queryable, panes: Iterable<number>): Promise<ReadonlyMap<number, Position>> {
    const { rows } = await client.query<{ pane_ms: string; base: Position }>(
      `select pane_ms, max(base) as base from unnest($3::bigint[]) as wanted (pane_ms)
         join sluice.pane_base on pipeline = $1 and pane_set = $2 and from_ms <= pane_ms and pane_ms < to_ms group by pane_ms`,
      [this.#pipeline, this.set.name, bigints(new Set(panes))],
    );
    return new Map(rows.map(({ pane_ms, base }) => [Number(pane_ms), base]));
  }

  /** Nothing of what came so far counts any more (E8). */
  async clear(client: Queryable): Promise<void> {
    await client.query(unhurried({ text: `delete from ${this.table}` }));
    await this.#deleteKept(client, ['late', 'kept_change']);
  }

  async forgetChanges(client: Queryable): Promise<void> {
    await this.#deleteKept(client, ['kept_change']);
  }

  /** A load starts over; what is there may have had other sums. */
  async forget(client: Queryable): Promise<void> {
    await client.query(`drop table if exists ${this.table}`);
    await this.create(client);
    await this.#deleteKept(client, ['late', 'kept_change', 'pane_base']);
  }

  async trim(client: Queryable, horizonMs: number): Promise<void> {
    await client.query(unhurried({ text: `delete from ${this.table} where pane_ms < $1`, values: [horizonMs] }));
    for (const table of ['late', 'kept_change']) await client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1 and pane_set = $2 and pane_ms < $3`, values: [this.#pipeline, this.set.name, horizonMs] }));
    await client.query('delete from sluice.pane_base where pipeline = $1 and pane_set = $2 and to_ms <= $3', [this.#pipeline, this.set.name, horizonMs]);
  }

  async latePanes(client: Queryable, from: number, before: number): Promise<readonly number[]> {
    const { rows } = await client.query<{ pane_ms: string }>(
      'select distinct pane_ms from sluice.late where pipeline = $1 and pane_set = $2 and pane_ms >= $3 and pane_ms < $4 order by pane_ms',
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

  get #added(): string {
    return this.#columns.map((column) => `${column} = panes.${column} + excluded.${column}`).join(', ');
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
  return deltas.keys.map((key, index) => ({ pane: deltas.panes[index]!, key, position, deltas: `{${deltas.values.map((values) => values[index]).join(',')}}` }));
}

/** Of a row that is there, called kept, and one that comes to it. */
const bothDeltas = '(select array_agg(before + more order by place) from unnest(kept.deltas, excluded.deltas) with ordinality as both_deltas (before, more, place))';

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

/** Arrays in Postgres' text format: much cheaper than letting the driver quote each element. */
export function bigints(values: Iterable<number>): string {
  return `{${Array.from(values).join(',')}}`;
}

function texts(values: readonly string[]): string {
  const isPlain = values.every((value) => !value.includes('"') && !value.includes('\\'));
  const quotedValues = isPlain ? values : values.map((value) => value.replaceAll(/["\\]/g, '\\$&'));
  return values.length === 0 ? '{}' : `{"${quotedValues.join('","')}"}`;
}
