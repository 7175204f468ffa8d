import type { Random } from '../../bench/load/random.ts';
import { canaryPrefix } from '../../connectors/postgres/pgoutput/decoder.ts';
import type { ReplicationTarget } from '../../connectors/postgres/replication-stream.ts';
import type { Source } from '../../connectors/postgres/source.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Lsn } from '../../core/position.ts';
import { lsnText } from '../../core/position.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { PlainEvent } from '../../core/segment-builder.ts';
import { beginMessage, commitMessage, eventMessage, logicalMessage, type ServerTable } from './pgoutput-writer.ts';
import type { Change } from './plan.ts';
import type { Scheduler, SimulatedProcess } from './scheduler.ts';
import { away, Connection, Stream } from './source-connection.ts';
import { SourceTables, type Renamed } from './source-table.ts';

/** A committed transaction of the WAL. */
export type Committed = {
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly commitUs: number;
  readonly events: readonly PlainEvent[];
  /** Idle clock of a canary, microseconds since 1970. */
  readonly canaryUs: number | undefined;
  readonly messages: readonly { readonly bytes: Buffer; readonly walStart: Lsn; readonly table: ServerTable | undefined }[];
  /** The tables after it: what a standby has that was promoted here. */
  readonly after: SourceTables;
};

const types = new Map([[20, 'int8'], [25, 'text'], [1184, 'timestamptz'], [23, 'int4']] as const);
export const systemIdentifier = '7000000000000000001';

/**
 * A PostgreSQL as a replication client meets it: transactions in commit order, a slot that begins at what was confirmed to
 * it (and may have forgotten the last of that after a crash), one reader a slot, timelines.
 */
export class SourceServer {
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #pipeline: string;
  /** Transactions of the present timeline that the slot may still have to send, and those before. */
  wal: Committed[] = [];
  #walEnd: Lsn = 1_000n;
  #tables = new SourceTables();
  #timeline = 1;
  #nextTimeline = 2;
  /** Where each timeline that led here was left. */
  #history: readonly { readonly timeline: number; readonly left: Lsn }[] = [];
  #up = true;
  #open: { readonly sinceMs: number }[] = [];
  slot: { confirmed: Lsn } | undefined = { confirmed: 1_000n };
  #slotOnDisk: Lsn = 1_000n;
  #connections = new Set<Connection>();
  #reader: Stream | undefined;
  #nextPid = 1;
  /** Who holds a snapshot loses it when the server goes down. */
  #snapshots: ((error: Error) => void)[] = [];
  /** Told of everything that is confirmed, before the slot moves. */
  onConfirm: (lsn: Lsn) => void = () => {};
  /** Where timelines began that lost transactions. */
  readonly promotions: { readonly left: Lsn }[] = [];
  /** In the midst of the next transaction. */
  #renaming: Renamed | undefined;

  constructor(scheduler: Scheduler, random: Random, pipeline: string) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#pipeline = pipeline;
  }

  get walEnd(): Lsn {
    return this.#walEnd;
  }

  get nowUs(): bigint {
    return BigInt(Math.trunc(this.#scheduler.nowMs * 1000));
  }

  begin(): { commit: (changes: readonly Change[]) => void } {
    const open = { sinceMs: this.#scheduler.nowMs };
    this.#open.push(open);
    return {
      commit: (changes) => {
        // a restart ended it
        if (!this.#open.includes(open)) return;
        this.#open = this.#open.filter((each) => each !== open);
        const nowMs = this.#scheduler.nowMs;
        const events = changes.flatMap((change) => this.#tables.change(change, nowMs) ?? []);
        if (events.length > 0) this.#commit(events, undefined);
      },
    };
  }

  /** A column gets another name; `within`: in the midst of the next transaction, with which it commits. */
  rename(column: Renamed, within: boolean): void {
    if (within) {
      this.#renaming = column;
      return;
    }
    this.#tables.rename(column);
    this.#commit([], undefined);
  }

  /** All connections end. */
  goDown(): void {
    this.#up = false;
    this.#open = [];
    for (const connection of this.#connections) connection.end();
    this.#connections.clear();
    this.#reader?.fail();
    for (const lose of this.#snapshots) lose(away());
    this.#snapshots = [];
    if (this.slot && this.#random.next() < 0.5) this.slot.confirmed = this.#slotOnDisk;
  }

  comeUp(): void {
    this.#up = true;
  }

  /** A standby takes over that has all but the last `lost` transactions. */
  promote(lost: number): void {
    const kept = this.wal.slice(0, Math.max(0, this.wal.length - lost));
    const left = kept.at(-1)?.endLsn ?? 1_000n;
    // a standby that lags may still be on an earlier timeline
    const parent = this.#history.find((step) => step.left > left)?.timeline ?? this.#timeline;
    this.#history = [...this.#history.filter((step) => step.left <= left && step.timeline !== parent), { timeline: parent, left }];
    this.#timeline = this.#nextTimeline++;
    this.promotions.push({ left });
    this.#tables = kept.at(-1)?.after.copy() ?? new SourceTables();
    this.wal = kept;
    this.#walEnd = left;
    const synced = this.#random.next() < 0.5 ? this.#slotOnDisk : (this.slot?.confirmed ?? 0n);
    if (this.slot) this.slot = { confirmed: synced < left ? synced : left };
  }

  endWalsender(): void {
    this.#reader?.fail();
  }

  /** The tables as they are now: a transaction is in them exactly if its commit LSN is below `at` (E17). */
  snapshot(): { readonly at: Lsn; readonly tables: SourceTables; readonly isRewritten: () => boolean; readonly lost: Promise<never> } {
    if (!this.#up) throw away();
    const { promise: lost, reject } = Promise.withResolvers<never>();
    lost.catch(() => {});
    this.#snapshots.push(reject);
    const then = this.#tables.copy();
    return { at: this.#walEnd, tables: then, lost, isRewritten: () => this.#tables.truncates !== then.truncates };
  }

  connect(process: SimulatedProcess): Promise<Source> {
    return process.io(() => {
      if (!this.#up) throw away();
      const connection = new Connection(process, this);
      this.#connections.add(connection);
      return connection;
    });
  }

  // what connections do

  catalog() {
    const relations = { 'public.events': 1, 'public.posts': 2 };
    return { systemIdentifier, walEnd: this.#walEnd, tables: relations, columns: this.#columns(), keepBytes: undefined, binary: false };
  }

  timeline() {
    return { timeline: this.#timeline, history: this.#history.map(({ timeline, left }) => `${timeline}\t${lsnText(left)}\tno recovery target specified\n`).join('') };
  }

  describeSlot() {
    return this.slot && { confirmed: this.slot.confirmed, status: 'reserved', activePid: this.#reader?.pid };
  }

  disconnect(pid: number): void {
    if (this.#reader?.pid === pid) this.#reader.fail();
  }

  emitCanary(): void {
    const oldest = Math.min(this.#scheduler.nowMs, ...this.#open.map(({ sinceMs }) => sinceMs));
    this.#commit([], oldest * 1000);
  }

  openStream(process: SimulatedProcess, from: Lsn, target: ReplicationTarget): Stream {
    if (!this.slot) throw new TransientError('replication slot does not exist');
    if (this.#reader) throw new TransientError('replication slot is active');
    const start = from > this.slot.confirmed ? from : this.slot.confirmed;
    this.#reader = new Stream({
      process,
      target,
      pid: this.#nextPid++,
      server: this,
      random: this.#random,
      // this server's WAL, whatever becomes of it later
      next: this.wal.findIndex(({ lsn }) => lsn >= start),
      closed: (stream) => {
        if (this.#reader === stream) this.#reader = undefined;
      },
    });
    return this.#reader;
  }

  confirm(lsn: Lsn): void {
    this.onConfirm(lsn);
    if (!this.slot || lsn <= this.slot.confirmed) return;
    this.slot.confirmed = lsn;
    if (this.#random.next() < 0.3) this.#slotOnDisk = lsn;
  }

  /** The worker's process died: its connections are reset, at once or when the server notices. */
  processDied(process: SimulatedProcess): void {
    for (const connection of this.#connections) if (connection.process === process) this.#connections.delete(connection);
    if (this.#reader?.process === process && this.#random.next() < 0.7) this.#reader = undefined;
  }

  #columns(): SourceColumns {
    return Object.fromEntries(Object.entries(this.#tables.forms).map(([table, { columns }]) => [table, columns.map(({ name, typeOid }, index) => ({ name, type: types.get(typeOid as 20)!, typeName: types.get(typeOid as 20)!, oid: typeOid, number: index + 1 }))]));
  }

  #commit(events: readonly PlainEvent[], canaryUs: number | undefined): void {
    const commitUs = this.#scheduler.nowMs * 1000;
    const messages: { bytes: Buffer; walStart: Lsn; table: ServerTable | undefined }[] = [];
    let at = this.#walEnd + 8n;
    for (const [index, event] of events.entries()) {
      // the rows of one multi-insert share an LSN
      if (this.#random.next() < 0.7) at += BigInt(8 + 8 * this.#random.below(12));
      if (this.#renaming && index === events.length >> 1) {
        this.#tables.rename(this.#renaming);
        this.#renaming = undefined;
      }
      const table = this.#tables.forms[event.table === 'posts' ? 'posts' : 'events'];
      messages.push({ bytes: eventMessage(table, event), walStart: at, table });
    }
    if (canaryUs !== undefined) messages.push({ bytes: logicalMessage(at, canaryPrefix(this.#pipeline), String(canaryUs)), walStart: at, table: undefined });
    const lsn = at + 64n;
    const endLsn = lsn + 48n;
    // of a transaction with nothing of the publication nothing is sent
    const whole = messages.length === 0 ? [] : [
      { bytes: beginMessage(lsn, BigInt(commitUs)), walStart: lsn, table: undefined },
      ...messages,
      { bytes: commitMessage(lsn, endLsn, BigInt(commitUs)), walStart: endLsn, table: undefined },
    ];
    this.wal.push({ lsn, endLsn, commitUs, events, canaryUs, messages: whole, after: this.#tables.copy() });
    this.#walEnd = endLsn;
    this.#reader?.wake();
  }
}
