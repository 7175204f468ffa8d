import type { Position } from '../../../core/position.ts';
import type { PaneSet } from '../../../core/views/panes.ts';
import type { Clocks } from '../../../core/views/watermark.ts';
import { noClock } from '../../../core/views/watermark.ts';
import type { Published } from '../../../core/views/windows.ts';
import type { ResultBody } from '../../relay.ts';
import type { Queryable } from '../state/state.ts';
import { outboxChannel } from '../state/state.ts';
import { bigints } from './pane-store.ts';

export const aggregateLane = 'aggregate';

/**
 * What one transaction of the aggregate lane gathers beside panes: clock, changed panes, messages, windows. It is read
 * under the lock at the beginning and written with the fence at the end.
 */
export class Progress {
  readonly pipeline: string;
  clocks: Clocks;
  horizonMs: number;
  /** By pane set: closed panes that changed since windows were last looked at. */
  readonly dirty: Map<string, Set<number>>;
  /** The epoch of the load that made what is here; undefined: none yet. */
  readonly loadEpoch: number | undefined;
  windowsClosed = 0;
  late = 0;
  #outboxSeq: number;
  #messages: { view: string; message: ResultBody }[] = [];
  #windows = new Map<string, Published & { readonly view: string; readonly endMs: number }>();

  private constructor(pipeline: string, row: AggregateRow) {
    this.pipeline = pipeline;
    this.clocks = { clock: row.clock_us === null ? noClock : Number(row.clock_us), loaded: row.loaded_clock_us === null ? noClock : Number(row.loaded_clock_us) };
    this.horizonMs = Number(row.horizon_ms);
    this.dirty = new Map(Object.entries(row.dirty).map(([set, panes]) => [set, new Set(panes)]));
    this.loadEpoch = row.load_epoch === null ? undefined : Number(row.load_epoch);
    this.#outboxSeq = Number(row.outbox_seq);
  }

  /** Locks the pipeline's row until the transaction ends. */
  static async lock(client: Queryable, pipeline: string): Promise<Progress> {
    const read = () => client.query<AggregateRow>({ name: 'lock aggregate', text: 'select * from sluice.aggregate where pipeline = $1 for update', values: [pipeline] });
    let { rows } = await read();
    if (rows.length === 0) {
      await client.query('insert into sluice.aggregate (pipeline) values ($1) on conflict do nothing', [pipeline]);
      ({ rows } = await read());
    }
    return new Progress(pipeline, rows[0]!);
  }

  /** Whether relays can have seen anything of this pipeline. */
  get hasPublished(): boolean {
    return this.#outboxSeq > 0 || this.#messages.length > 0;
  }

  dirtyPanes(set: PaneSet): Set<number> {
    let panes = this.dirty.get(set.name);
    if (!panes) this.dirty.set(set.name, (panes = new Set()));
    return panes;
  }

  say(view: string, message: ResultBody): void {
    this.#messages.push({ view, message });
  }

  setWindow(view: string, endMs: number, published: Published): void {
    this.#windows.set(`${view} ${endMs}`, { ...published, view, endMs });
  }

  /** What this transaction has already said of a window. */
  windowOf(view: string, endMs: number): Published | undefined {
    return this.#windows.get(`${view} ${endMs}`);
  }

  /** Writes messages and windows, so that statements see them and memory stays small. */
  async flush(client: Queryable): Promise<void> {
    if (this.#messages.length > 0) {
      await client.query({
        name: 'append to outbox',
        text: `insert into sluice.outbox (pipeline, seq, view, message)
               select $1, $2 + place, entry ->> 'view', entry -> 'message' from jsonb_array_elements($3::jsonb) with ordinality as entries (entry, place)`,
        values: [this.pipeline, this.#outboxSeq, JSON.stringify(this.#messages)],
      });
      this.#outboxSeq += this.#messages.length;
      this.#messages = [];
      await client.query({ name: 'notify outbox', text: 'select pg_notify($1, $2)', values: [outboxChannel, this.pipeline] });
    }
    if (this.#windows.size > 0) {
      const windows = [...this.#windows.values()];
      await client.query({
        name: 'keep windows',
        text: `insert into sluice.published_window (pipeline, view, window_end_ms, revision, final, digest)
               select $1, * from unnest($2::text[], $3::bigint[], $4::int[], $5::boolean[], $6::text[])
               on conflict (pipeline, view, window_end_ms) do update set revision = excluded.revision, final = excluded.final, digest = excluded.digest`,
        values: [this.pipeline, windows.map(({ view }) => view), bigints(windows.map(({ endMs }) => endMs)), bigints(windows.map(({ revision }) => revision)), windows.map(({ final }) => final), windows.map(({ digest }) => digest)],
      });
      this.#windows = new Map();
    }
  }

  /** The end of the transaction; with the fence, if that moves. */
  async finish(client: Queryable, fence: Position | undefined, loadEpoch = this.loadEpoch): Promise<void> {
    await this.flush(client);
    await client.query({
      name: 'finish aggregate',
      text: `with moved as (update sluice.fence set position = $8, moved_at = now() where pipeline = $1 and lane = $9 and $8::text is not null)
             update sluice.aggregate set clock_us = $2, loaded_clock_us = $3, load_epoch = $4, horizon_ms = $5, outbox_seq = $6, dirty = $7 where pipeline = $1`,
      values: [this.pipeline, finite(this.clocks.clock), finite(this.clocks.loaded), loadEpoch ?? null, this.horizonMs, this.#outboxSeq, JSON.stringify(this.#dirtyJson()), fence ?? null, aggregateLane],
    });
  }

  #dirtyJson(): Record<string, number[]> {
    const sets = [...this.dirty].filter(([, panes]) => panes.size > 0);
    return Object.fromEntries(sets.map(([set, panes]) => [set, [...panes].sort((a, b) => a - b)]));
  }
}

type AggregateRow = {
  readonly clock_us: string | null;
  readonly loaded_clock_us: string | null;
  readonly load_epoch: string | null;
  readonly horizon_ms: string;
  readonly outbox_seq: string;
  readonly dirty: Readonly<Record<string, readonly number[]>>;
};

function finite(clock: number): number | null {
  return Number.isFinite(clock) ? clock : null;
}
