import { isDeepStrictEqual } from 'node:util';
import type { PoolClient } from 'pg';
import type { ColumnType } from '../../core/columns/vector.ts';
import type { Measure, Pipeline } from '../../core/pipeline.ts';
import type { OutboxMessage, Relay, ResultBody } from '../relay.ts';
import { FenceMoved } from '../sink.ts';
import { TransientError } from '../transient-error.ts';
import { quoted } from './aggregate/pane-store.ts';
import { classified } from './errors.ts';
import type { State } from './state/state.ts';
import { inTransaction, unhurried } from './state/state.ts';

/**
 * A view's windows as rows of a table: window_start, window_end, rank, the key, labels, measures, revision, final. A
 * window's rows are replaced whole, in the transaction that moves the fence (I3).
 */
export class PostgresResultsRelay implements Relay {
  readonly #state: State;
  readonly #pipeline: string;
  readonly #lane: string;
  readonly #view: string;
  readonly #table: string;
  readonly #columns: readonly ResultColumn[];
  /** As it is on record. */
  readonly #sink: object;

  /** Makes the table if it is not there. */
  static async open(state: State, pipeline: Pipeline, lane: string): Promise<PostgresResultsRelay> {
    const relay = new PostgresResultsRelay(state, pipeline, lane);
    await classified(relay.#table, () => relay.#create());
    return relay;
  }

  private constructor(state: State, pipeline: Pipeline, lane: string) {
    const sink = pipeline.sinks[lane];
    if (sink?.kind !== 'postgres-results') throw new TypeError(`lane ${lane} of ${pipeline.name} is no results table`);
    this.#state = state;
    this.#pipeline = pipeline.name;
    this.#lane = lane;
    this.#view = sink.view;
    this.#table = (sink.table.includes('.') ? sink.table : `results.${sink.table}`).split('.').map(quoted).join('.');
    this.#columns = columnsOf(pipeline, sink.view);
    this.#sink = JSON.parse(JSON.stringify(sink)) as object;
  }

  readFence(): Promise<number> {
    return classified(this.#table, async () => {
      const { rows } = await this.#state.query<{ seq: string }>('select seq from sluice.relay_fence where pipeline = $1 and lane = $2', [this.#pipeline, this.#lane]);
      return Number(rows[0]?.seq ?? 0);
    });
  }

  publish(messages: readonly OutboxMessage[], from: number, to: number): Promise<void> {
    return classified(this.#table, () => inTransaction(this.#state, (client) => this.#publish(client, messages, from, to)));
  }

  /** The state database belongs to the caller. */
  async close(): Promise<void> {}

  async #publish(client: PoolClient, messages: readonly OutboxMessage[], from: number, to: number): Promise<void> {
    await client.query('insert into sluice.relay_fence (pipeline, lane, seq) values ($1, $2, 0) on conflict do nothing', [this.#pipeline, this.#lane]);
    const { rows } = await client.query<{ seq: string; sink: object | null }>(
      `select seq, (select definition -> 'sinks' -> lane from sluice.shard where shard.pipeline = relay_fence.pipeline and shard = relay_fence.pipeline) as sink
         from sluice.relay_fence where pipeline = $1 and lane = $2 for update`,
      [this.#pipeline, this.#lane],
    );
    const { seq, sink } = rows[0]!;
    if (Number(seq) !== from) throw new FenceMoved(`lane ${this.#lane} of ${this.#pipeline}`, String(from), seq);
    // somebody who stood still while the lane became another would say that its table has what only that of before got
    if (sink !== null && !isDeepStrictEqual(sink, this.#sink)) throw new TransientError(`lane ${this.#lane} of ${this.#pipeline} writes to another table than ${this.#table} by now`);

    const { truncated, windows } = newest(messages.filter(({ view }) => view === this.#view));
    if (truncated) await client.query(unhurried({ text: `delete from ${this.#table}` }));
    if (windows.length > 0) await this.#replace(client, windows);
    await client.query('update sluice.relay_fence set seq = $3 where pipeline = $1 and lane = $2', [this.#pipeline, this.#lane, to]);
  }

  async #replace(client: PoolClient, windows: readonly WindowBody[]): Promise<void> {
    await client.query(`delete from ${this.#table} where window_end = any(select to_timestamp(ms / 1000.0) from unnest($1::bigint[]) ms)`, [windows.map(({ windowEndMs }) => windowEndMs)]);
    const names = this.#columns.map(({ name }) => quoted(name)).join(', ');
    const types = this.#columns.map(({ name, type }) => `${quoted(name)} ${type}`).join(', ');
    const rows = windows.flatMap((window) => window.rows.map((row) => Object.fromEntries(this.#columns.map(({ name, value }) => [name, value(window, row)]))));
    await client.query(`insert into ${this.#table} (${names}) select ${names} from jsonb_to_recordset($1::jsonb) as row (${types})`, [JSON.stringify(rows)]);
  }

  async #create(): Promise<void> {
    const [schema] = this.#table.split('.');
    const columns = this.#columns.map(({ name, type, required }) => `${quoted(name)} ${type}${required ? ' not null' : ''}`).join(', ');
    await inTransaction(this.#state, async (client) => {
      await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.results', 0))");
      await client.query(`create schema if not exists ${schema}`);
      await client.query(`create table if not exists ${this.#table} (${columns}, primary key (window_end, rank))`);
    });
  }
}

type WindowBody = Exclude<ResultBody, { truncated: true }>;
type ResultColumn = { readonly name: string; readonly type: string; readonly required: boolean; readonly value: (window: WindowBody, row: WindowBody['rows'][number]) => unknown };

/** What messages leave behind: the last of each window, and whether all before was emptied. */
function newest(messages: readonly OutboxMessage[]): { truncated: boolean; windows: readonly WindowBody[] } {
  const windows = new Map<number, WindowBody>();
  let truncated = false;
  for (const { body } of messages) {
    if ('truncated' in body) {
      truncated = true;
      windows.clear();
    } else windows.set(body.windowEndMs, body);
  }
  return { truncated, windows: [...windows.values()] };
}

function columnsOf({ views, source }: Pipeline, viewName: string): readonly ResultColumn[] {
  const view = views[viewName]!;
  const time = (ms: number) => new Date(ms).toISOString();
  return [
    { name: 'window_start', type: 'timestamptz', required: true, value: (window) => time(window.windowStartMs) },
    { name: 'window_end', type: 'timestamptz', required: true, value: (window) => time(window.windowEndMs) },
    { name: 'rank', type: 'int', required: true, value: (_, row) => row.rank },
    { name: view.key, type: keyTypes[source.events.columns[view.key]!.type] ?? 'text', required: true, value: (_, row) => row.key },
    ...Object.keys(view.labels).map((name): ResultColumn => ({ name, type: 'text', required: false, value: (_, row) => row.labels[name] ?? null })),
    ...Object.entries(view.measures).map(([name, measure]): ResultColumn => ({ name, type: measureType(measure), required: measure.kind !== 'min' && measure.kind !== 'max', value: (_, row) => row.measures[name] })),
    { name: 'revision', type: 'int', required: true, value: (window) => window.revision },
    { name: 'final', type: 'boolean', required: true, value: (window) => window.final },
  ];
}

function measureType(measure: Measure): string {
  const isWhole = measure.kind === 'count' || ((measure.kind === 'sum' || measure.kind === 'min' || measure.kind === 'max') && measure.scale === 0);
  return isWhole ? 'bigint' : 'numeric';
}

const keyTypes: Partial<Record<ColumnType, string>> = { int2: 'smallint', int4: 'int', int8: 'bigint', uuid: 'uuid', bool: 'boolean' };
