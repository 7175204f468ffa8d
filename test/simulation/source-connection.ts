import type { Random } from '../../bench/load/random.ts';
import type { ReplicationTarget } from '../../connectors/postgres/replication-stream.ts';
import type { Source, SourceStream } from '../../connectors/postgres/source.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Lsn } from '../../core/position.ts';
import { relationMessage, since2000, type ServerTable } from './pgoutput-writer.ts';
import type { SimulatedProcess } from './scheduler.ts';
import type { Committed, SourceServer } from './source-server.ts';

/** The ordinary connection of a capture. */
export class Connection implements Source {
  readonly process: SimulatedProcess;
  readonly #server: SourceServer;
  readonly #gone = Promise.withResolvers<never>();
  #ended = false;
  readonly gone: Promise<never>;

  constructor(process: SimulatedProcess, server: SourceServer) {
    this.process = process;
    this.#server = server;
    this.gone = this.#gone.promise;
    this.gone.catch(() => {});
  }

  catalog = () => this.#ask(() => this.#server.catalog());
  columns = () => this.#ask(() => ({ columns: this.#server.catalog().columns, seenAt: this.#server.walEnd }));
  expectedRows = () => this.#ask(() => 0);
  assertPublication = () => this.#ask(() => {});
  timeline = () => this.#ask(() => this.#server.timeline());
  slot = () => this.#ask(() => this.#server.describeSlot());
  walEnd = () => this.#ask(() => this.#server.walEnd);
  disconnect = (pid: number) => this.#ask(() => this.#server.disconnect(pid));
  emitCanary = () => this.#ask(() => this.#server.emitCanary());
  letSlotFollow = async () => {};
  stream = (from: Lsn, _binary: boolean, target: ReplicationTarget): Promise<SourceStream> => this.#ask(() => this.#server.openStream(this.process, from, target));

  async close(): Promise<void> {
    this.#ended = true;
  }

  end(): void {
    this.#ended = true;
    void this.#hear();
  }

  async #hear(): Promise<void> {
    await this.process.io(() => {});
    this.#gone.reject(away());
  }

  #ask<T>(answer: () => T): Promise<T> {
    return this.process.io(() => {
      if (this.#ended) throw away();
      return answer();
    });
  }
}

type StreamOptions = {
  readonly process: SimulatedProcess;
  readonly target: ReplicationTarget;
  readonly pid: number;
  readonly server: SourceServer;
  readonly random: Random;
  readonly next: number;
  readonly closed: (stream: Stream) => void;
};

/** The replication connection: sends messages one after another, a few at once, also in the middle of a transaction. */
export class Stream implements SourceStream {
  readonly process: SimulatedProcess;
  readonly pid: number;
  readonly ended: Promise<void>;
  readonly #options: StreamOptions;
  readonly #end = Promise.withResolvers<void>();
  readonly #wal: readonly Committed[];
  #transaction: number;
  #message = 0;
  #known = new Set<ServerTable>();
  #held = false;
  #over = false;
  #sending = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.process = options.process;
    this.pid = options.pid;
    this.ended = this.#end.promise;
    this.ended.catch(() => {});
    this.#wal = options.server.wal;
    this.#transaction = options.next < 0 ? this.#wal.length : options.next;
    this.wake();
  }

  wake(): void {
    if (this.#sending || this.#held || this.#over) return;
    this.#sending = true;
    void this.#deliverSome();
  }

  async #deliverSome(): Promise<void> {
    await this.process.io(() => {});
    this.#sending = false;
    if (this.#over || this.#held) return;
    const { random } = this.#options;
    try {
      this.#tellEnd();
      for (let count = 1 + random.below(12); count > 0 && this.#transaction < this.#wal.length; count--) this.#send();
      this.#tellEnd();
    } catch (error) {
      this.fail(error);
    }
    if (this.#transaction < this.#wal.length) this.wake();
  }

  /** How far it is in decoding: what committed below was sent. */
  #tellEnd(): void {
    const { target, server } = this.#options;
    const at = this.#transaction < this.#wal.length ? (this.#wal[this.#transaction - 1]?.endLsn ?? 0n) : server.walEnd;
    target.server(...wordsOf(at), ...wordsOf(since2000(server.nowUs)));
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.wake();
  }

  confirm(lsn: Lsn): void {
    void this.process.io(() => {
      if (!this.#over) this.#options.server.confirm(lsn);
    });
  }

  close(): void {
    this.#over = true;
    this.#options.closed(this);
    this.#end.resolve();
  }

  fail(error: unknown = away()): void {
    this.#over = true;
    this.#options.closed(this);
    void this.#hear(error);
  }

  async #hear(error: unknown): Promise<void> {
    await this.process.io(() => {});
    this.#end.reject(error);
  }

  #send(): void {
    const { messages } = this.#wal[this.#transaction]!;
    const message = messages[this.#message];
    if (!message) {
      this.#transaction++;
      return;
    }
    const { bytes, walStart, table } = message;
    if (table && !this.#known.has(table)) {
      this.#known.add(table);
      this.#deliver(relationMessage(table), walStart);
    }
    this.#deliver(bytes, walStart);
    if (++this.#message < messages.length) return;
    this.#message = 0;
    this.#transaction++;
  }

  #deliver(bytes: Buffer, walStart: Lsn): void {
    this.#options.target.message(bytes, 0, bytes.length, ...wordsOf(walStart));
  }
}

function wordsOf(value: bigint): [high: number, low: number] {
  return [Number(value >> 32n), Number(value & 0xffffffffn)];
}

export function away(): Error {
  return new TransientError('the source is away');
}
