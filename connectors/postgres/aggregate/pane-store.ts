import { createHash } from 'node:crypto';
import type { Aside } from '../../../core/views/fold.ts';
import type { PaneDeltas, PaneSet } from '../../../core/views/panes.ts';
import type { Queryable } from '../state/state.ts';

/**
 * The panes of a set as a table, `sluice.panes_<pipeline>_<set>`, and its late output. A pane that is rebuilt beside the
 * stream will have a base position here, below which no fold counts (E18).
 */
export class PaneStore {
  readonly set: PaneSet;
  readonly table: string;
  readonly #pipeline: string;
  readonly #columns: readonly string[];

  constructor(pipeline: string, set: PaneSet) {
    this.set = set;
    this.table = paneTable(pipeline, set);
    this.#pipeline = pipeline;
    this.#columns = set.accumulators.map(({ name }) => quoted(name));
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
    const parameters = this.#columns.map((_, index) => `$${index + 3}::bigint[]`).join(', ');
    const sums = this.#columns.map((column) => `${column} = panes.${column} + excluded.${column}`).join(', ');
    await client.query({
      name: `add to ${this.table}`,
      text: `insert into ${this.table} as panes select * from unnest($1::bigint[], $2::text[], ${parameters})
             on conflict (pane_ms, key) do update set ${sums}`,
      values: [bigints(deltas.panes), texts(deltas.keys), ...deltas.values.map(bigints)],
    });
  }

  /** A transaction may come in several pieces: its rows add up. */
  async setAside(client: Queryable, aside: readonly Aside[]): Promise<void> {
    const rows = aside.flatMap(({ reason, position, deltas }) =>
      deltas.keys.map((key, index) => ({ pane: deltas.panes[index]!, key, position, reason, deltas: `{${deltas.values.map((values) => values[index]).join(',')}}` })),
    );
    if (rows.length === 0) return;
    await client.query({
      name: 'set aside',
      text: `insert into sluice.late as kept (pipeline, pane_set, pane_ms, key, position, reason, deltas)
             select $1, $2, pane_ms, key, position, reason, deltas::bigint[]
             from unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[]) as added (pane_ms, key, position, reason, deltas)
             on conflict (pipeline, pane_set, pane_ms, key, position, reason) do update set deltas =
               (select array_agg(before + more order by place) from unnest(kept.deltas, excluded.deltas) with ordinality as both_deltas (before, more, place))`,
      values: [this.#pipeline, this.set.name, bigints(rows.map(({ pane }) => pane)), rows.map(({ key }) => key), rows.map(({ position }) => position), rows.map(({ reason }) => reason), rows.map((row) => row.deltas)],
    });
  }

  /** Nothing of what came so far counts any more (E8). */
  async clear(client: Queryable): Promise<void> {
    await client.query(`delete from ${this.table}`);
    await client.query('delete from sluice.late where pipeline = $1 and pane_set = $2', [this.#pipeline, this.set.name]);
  }

  async trim(client: Queryable, horizonMs: number): Promise<void> {
    await client.query(`delete from ${this.table} where pane_ms < $1`, [horizonMs]);
    await client.query('delete from sluice.late where pipeline = $1 and pane_set = $2 and pane_ms < $3', [this.#pipeline, this.set.name, horizonMs]);
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

export function paneTable(pipeline: string, set: Pick<PaneSet, 'name'>): string {
  return `sluice.${quoted(fitting(`panes_${pipeline}_${set.name}`))}`;
}

/** Postgres cuts a name after 63 bytes, and then two could be one. */
function fitting(name: string): string {
  return name.length <= 63 ? name : `${name.slice(0, 54)}_${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
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
