import type { Piece } from '../../connectors/clickhouse/pieces.ts';
import type { VersionedRows } from '../../connectors/clickhouse/versioned-rows.ts';
import type { Content, Poster } from '../../connectors/http/post.ts';
import type { LiveChange, LiveStructure } from '../../connectors/redis/live-structure.ts';
import { StructureLost } from '../../connectors/redis/live-structure.ts';
import { FenceMoved } from '../../connectors/sink.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import type { Position } from '../../core/position.ts';
import { positionAt } from '../../core/position.ts';
import { paneMs, rollingMs } from './pipeline.ts';
import type { SimulatedProcess } from './scheduler.ts';
import type { Trouble } from './trouble.ts';

export type StoredRow = { readonly position: Position; readonly row: Readonly<Record<string, string | null>> | null };

/** A table whose greatest position of a sort key wins, tombstones included, as a ReplacingMergeTree with FINAL. */
export class VersionedTable {
  readonly #trouble: Trouble;
  /** By sort key; row null: a tombstone. */
  rows = new Map<string, StoredRow>();
  /** Undefined: it was dropped and made again, and nothing of it is left. */
  fence: Position | undefined;
  /** Another one after that. */
  #target = 'table 1';
  /** Those of the tables before it stay. */
  readonly #formerFences = new Map<string, Position>();
  /** By backfill, the greatest. */
  marks = new Map<string, Position>();
  /** The fence before a backup was put back counts still: what was confirmed by it was rightly confirmed. */
  greatestFence: Position;

  constructor(trouble: Trouble, fence: Position) {
    this.#trouble = trouble;
    this.fence = fence;
    this.greatestFence = fence;
  }

  /** It is dropped, and made again. */
  lose(): void {
    this.rows = new Map();
    if (this.fence !== undefined) this.#formerFences.set(this.#target, this.fence);
    this.fence = undefined;
    this.marks = new Map();
    this.#target = `table ${Number(this.#target.slice(6)) + 1}`;
  }

  /** Returns what puts a backup of this moment back. */
  backup(): () => void {
    const [rows, fence, marks] = [new Map(this.rows), this.fence, new Map(this.marks)];
    return () => {
      this.rows = new Map(rows);
      this.fence = fence;
      this.marks = new Map(marks);
    };
  }

  seenBy(process: SimulatedProcess): VersionedRows {
    const call = <T>(effect: () => T, half?: () => unknown) => this.#trouble.call(process, 'enriched', effect, half);
    return {
      create: async () => {},
      target: () => call(() => this.#target),
      insert: (pieces) => {
        const rows = pieces.flatMap(rowsOf);
        return call(
          () => rows.forEach((row) => this.#put(...row)),
          () => rows.slice(0, Math.ceil(rows.length / 2)).forEach((row) => this.#put(...row)),
        );
      },
      bury: (at) =>
        call(() => {
          for (const [key, { position, row }] of this.rows) if (row && position < at) this.#put(key, { position: at, row: null });
        }),
      writeMark: (target, { backfill, at }) =>
        call(() => {
          if (target === this.#target && at > (this.marks.get(backfill) ?? '')) this.marks.set(backfill, at);
        }),
      readMark: (target, backfill) => call(() => (target === this.#target ? this.marks.get(backfill) : undefined)),
      buryWithin: (_, { time, range: { fromMs, toMs }, mark }, at) =>
        call(() => {
          const found = this.marks.get(mark.backfill);
          if (found !== mark.at) return found;
          for (const [key, { position, row }] of this.rows) {
            const ms = row && Date.parse(row[time]!);
            if (ms !== null && position < at && ms >= fromMs && ms < toMs) this.#put(key, { position: at, row: null });
          }
          return found;
        }),
      readFence: (target) => call(() => (target === this.#target ? this.fence : this.#formerFences.get(target))),
      writeFence: (target, position) => call(() => this.#writeFence(target, position)),
      // one statement, whose condition is looked at before it writes
      moveFence: async (target, from, to) => {
        if (!(await call(() => target === this.#target && this.fence === from))) return false;
        await call(() => this.#writeFence(target, to));
        return true;
      },
      close: async () => {},
    };
  }

  #writeFence(target: string, position: Position): void {
    if (target !== this.#target) return;
    if (this.fence === undefined || position > this.fence) this.fence = position;
    if (position > this.greatestFence) this.greatestFence = position;
  }

  #put(key: string, stored: StoredRow): void {
    const before = this.rows.get(key);
    if (!before || before.position <= stored.position) this.rows.set(key, stored);
  }
}

function rowsOf({ columns, positions, deleted, start, end }: Piece): (readonly [key: string, StoredRow])[] {
  return Array.from({ length: end - start }, (_, index) => {
    const at = start + index;
    const row = Object.fromEntries([...columns].map(([name, vector]) => [name, postgresText(vector, at)]));
    return [`${row['at']} ${row['id']}`, { position: positionAt(positions, at), row: deleted ? null : row }] as const;
  });
}

/** A rolling window as live.lua keeps it: one accumulator a pane and member. */
export class LiveStore {
  readonly #trouble: Trouble;
  fence: Position | undefined;
  /** 0: its keys are lost. */
  #generation = 1;
  #swaps = 1;
  endUs: number | undefined;
  #panes = new Map<number, Map<string, number>>();
  /** Told when a structure was made anew. */
  onSwap: () => void = () => {};

  constructor(trouble: Trouble, fence: Position) {
    this.#trouble = trouble;
    this.fence = fence;
  }

  backup(): () => void {
    const { fence, endUs } = this;
    const [generation, panes] = [this.#generation, [...this.#panes].map(([start, members]) => [start, new Map(members)] as const)];
    return () => {
      this.fence = fence;
      this.endUs = endUs;
      this.#generation = generation;
      this.#panes = new Map(panes.map(([start, members]) => [start, new Map(members)]));
    };
  }

  /** FLUSHALL, or an eviction that leaves the fence. */
  lose(structuresOnly: boolean): void {
    if (!structuresOnly) this.fence = undefined;
    this.#generation = 0;
    this.endUs = undefined;
    this.#panes.clear();
  }

  /** What it answers when it is asked how far it is. */
  get told(): Position | undefined {
    return this.#generation ? this.fence : undefined;
  }

  /** What readers see: scores by member. */
  scores(): ReadonlyMap<string, number> {
    const scores = new Map<string, number>();
    const floor = this.#floor();
    for (const [start, members] of this.#panes) {
      if (start > floor || start <= floor - rollingMs) continue;
      for (const [member, value] of members) scores.set(member, (scores.get(member) ?? 0) + value);
    }
    return new Map([...scores].filter(([, score]) => score !== 0));
  }

  seenBy(process: SimulatedProcess): LiveStructure {
    const call = <T>(effect: () => T) => this.#trouble.call(process, 'live', effect);
    return {
      readFence: () => call(() => (this.#generation ? this.fence : undefined)),
      apply: ({ truncated, endUs, deltas }, from, to) =>
        call(() => {
          if (this.fence !== from) throw new FenceMoved('live', from, this.fence);
          if (!this.#generation) throw new StructureLost('live');
          if (truncated) this.#panes.clear();
          if (endUs !== undefined && (this.endUs === undefined || endUs > this.endUs)) this.endUs = endUs;
          this.#add(deltas);
          this.fence = to;
        }),
      generation: () => call(() => String(this.#generation)),
      swap: (generation, deltas, endUs, position) =>
        call(() => {
          if (generation !== String(this.#generation)) throw new FenceMoved('live', position, this.fence);
          this.#panes.clear();
          this.endUs = endUs;
          this.#add(deltas);
          this.#generation = ++this.#swaps;
          this.fence = position;
          this.onSwap();
        }),
      close: () => {},
    };
  }

  #add({ panes, keys, values }: LiveChange['deltas']): void {
    const oldest = this.#floor() - rollingMs;
    for (const start of this.#panes.keys()) if (start <= oldest) this.#panes.delete(start);
    panes.forEach((start, entry) => {
      if (start <= oldest) return;
      let members = this.#panes.get(start);
      if (!members) this.#panes.set(start, (members = new Map()));
      members.set(keys[entry]!, (members.get(keys[entry]!) ?? 0) + values[0]![entry]!);
    });
  }

  #floor(): number {
    return this.endUs === undefined ? Number.NEGATIVE_INFINITY : Math.floor(this.endUs / 1000 / paneMs) * paneMs;
  }
}

export type ReceivedEvent = { readonly position: Position; readonly op: string; readonly key: number | null; readonly row: Readonly<Record<string, unknown>> | null };

/** Somebody who gets signed messages, keeps each id once, and folds their events by key. */
export class Receiver {
  readonly #trouble: Trouble;
  readonly #bodies = new Map<string, string>();
  readonly events = new Map<string, ReceivedEvent>();
  /** The message that an event came in. */
  readonly #messageOf = new Map<string, string>();
  /** What no sender may do: another body under an id, another event at a position. */
  readonly wrongs: string[] = [];
  /** Events that came in two messages: only a worker that does not know the newest segments may do that. */
  readonly repeated: string[] = [];

  constructor(trouble: Trouble) {
    this.#trouble = trouble;
  }

  seenBy(process: SimulatedProcess): Poster {
    return {
      content: async (write: () => Uint8Array): Promise<Content> => ({ parts: [write()] }),
      post: (id, { parts }) => this.#trouble.call(process, 'external', () => this.#take(id, Buffer.concat(parts).toString())),
      close: () => {},
    };
  }

  #take(id: string, body: string): void {
    const before = this.#bodies.get(id);
    if (before !== undefined && before !== body) this.wrongs.push(`message ${id} came with another body: ${before} then ${body}`);
    this.#bodies.set(id, body);
    for (const event of JSON.parse(body) as ReceivedEvent[]) {
      const known = this.events.get(event.position);
      if (known && JSON.stringify(known) !== JSON.stringify(event)) this.wrongs.push(`the event at ${event.position} came as ${JSON.stringify(known)} and as ${JSON.stringify(event)}`);
      const message = this.#messageOf.get(event.position) ?? id;
      if (message !== id) this.repeated.push(`the event at ${event.position} came in ${message} and in ${id}`);
      this.#messageOf.set(event.position, message);
      this.events.set(event.position, event);
    }
  }
}
