import { Client } from 'pg';
import type { ClientConfig, Connection } from 'pg';
import type { Duplex } from 'node:stream';
import type { Lsn } from '../../core/position.ts';
import { lsnText } from '../../core/position.ts';
import { int32 } from '../../core/columns/column.ts';
import { FrameReader, ReusedBufferSocket } from './frame-reader.ts';
import { keptAlive } from './keep-alive.ts';
import { leave } from './leave.ts';

export type ReplicationOptions = {
  readonly url: string;
  readonly applicationName: string;
  readonly slot: string;
  readonly publication: string;
  /** Transactions that commit at or above it are sent. */
  readonly from: Lsn;
  readonly binary: boolean;
  readonly target: ReplicationTarget;
};

export type ReplicationTarget = {
  /** A pgoutput message in [start, end); its WAL start as high and low word. The bytes are reused afterwards. */
  message(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number): void;
  /** With every message, before it: the server's end of WAL, and its clock in microseconds since 2000, as high and low word. */
  server(endHigh: number, endLow: number, timeHigh: number, timeLow: number): void;
};

/** What Postgres writes as text must not depend on the server's settings, and the stream's be the same as a load's. */
export const textSettings = '-c datestyle=ISO -c timezone=UTC -c intervalstyle=iso_8601 -c extra_float_digits=3 -c bytea_output=hex';

/** By which the source's own views show who reads the slot. */
export function captureApplicationName(pipeline: string): string {
  return `sluice ${pipeline} capture`;
}

/**
 * A replication connection on which START_REPLICATION runs. Confirms only what `confirm` was given, and sends its status
 * each 3 seconds whether or not it reads, so the walsender never gives it up (E6).
 * https://www.postgresql.org/docs/18/protocol-replication.html
 */
export class ReplicationStream {
  readonly #client: Client;
  readonly #socket: Duplex;
  readonly #reader: FrameReader;
  readonly #timer: NodeJS.Timeout;
  #confirmed: Lsn;
  #ended = false;
  #readsSeen = 0;
  #silentMs = 0;
  /** Settles when the connection ends: rejects with the reason unless `close` was called. */
  readonly ended: Promise<void>;
  readonly #end: PromiseWithResolvers<void>;

  static async start(options: ReplicationOptions): Promise<ReplicationStream> {
    const client = new Client({
      connectionString: options.url,
      application_name: options.applicationName,
      replication: 'database',
      // a silent partition must not hold the slot for a minute
      options: `${textSettings} -c wal_sender_timeout=10s -c statement_timeout=0`,
      stream: () => new ReusedBufferSocket(),
      connectionTimeoutMillis: 10_000,
      ...keptAlive,
    } as unknown as ClientConfig);
    await client.connect();
    try {
      return await new Promise<ReplicationStream>((resolve, reject) => {
        const stream = new ReplicationStream(client, options, (error) => (error ? reject(error) : resolve(stream)));
      });
    } catch (error) {
      client.on('error', () => {});
      void leave(client);
      throw error;
    }
  }

  private constructor(client: Client, options: ReplicationOptions, started: (error?: unknown) => void) {
    this.#client = client;
    this.#confirmed = 0n;
    this.#end = Promise.withResolvers();
    this.ended = this.#end.promise;
    this.ended.catch(() => {});
    const connection = (client as Client & { connection: Connection }).connection;
    this.#socket = connection.stream;
    let copying = false;
    const { target } = options;

    // the driver has done its part: from here on the frames are ours
    this.#socket.removeAllListeners('data');
    this.#reader = new FrameReader(
      this.#socket,
      (bytes, start, end) => {
        const kind = bytes[start];
        if (kind === Frame.copyData && copying) this.#copyData(bytes, start + 5, end, target);
        else if (kind === Frame.copyBoth) {
          copying = true;
          started();
        } else if (kind === Frame.error) {
          const error = serverError(bytes.subarray(start + 5, end));
          if (copying) this.#fail(error);
          else started(error);
        } else if (kind === Frame.copyDone || (kind === Frame.ready && copying)) this.#fail(new Error('the server ended the replication stream'));
      },
      (error) => this.#fail(error),
    );
    const lost = (error?: Error) => {
      const reason = error ?? new Error('the replication connection was closed by the server');
      started(reason);
      this.#fail(reason);
    };
    this.#socket.once('close', () => lost());
    this.#socket.once('error', lost);
    client.on('error', lost);
    this.#timer = setInterval(() => this.#tick(), statusMs);
    this.#query(startCommand(options));
  }

  /** Of the walsender. */
  get pid(): number | undefined {
    return (this.#client as Client & { processID: number | null }).processID ?? undefined;
  }

  /** Everything below is durable elsewhere. Never moves back. */
  confirm(lsn: Lsn): void {
    if (lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
  }

  hold(): void {
    this.#reader.hold();
  }

  release(): void {
    this.#reader.release();
  }

  /** Sends the last confirmation and leaves. Safe to call twice. */
  close(): void {
    if (this.#ended) return;
    this.#sendStatus(false);
    this.#finish();
    this.#end.resolve();
  }

  #fail(error: unknown): void {
    if (this.#ended) return;
    this.#finish();
    this.#end.reject(error);
  }

  #finish(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#reader.stop();
    this.#client.on('error', () => {});
    this.#socket.on('error', () => {});
    // what was written must leave before the socket goes
    this.#socket.end(() => this.#socket.destroy());
  }

  #copyData(bytes: Buffer, start: number, end: number, target: ReplicationTarget): void {
    if (bytes[start] === 0x77) {
      // XLogData: start of the WAL data, end of WAL on the server, time, payload
      target.server(int32(bytes, start + 9) >>> 0, int32(bytes, start + 13) >>> 0, int32(bytes, start + 17), int32(bytes, start + 21) >>> 0);
      target.message(bytes, start + 25, end, int32(bytes, start + 1) >>> 0, int32(bytes, start + 5) >>> 0);
    } else if (bytes[start] === 0x6b) {
      // keepalive: end of WAL, time, whether an answer is wanted at once
      target.server(int32(bytes, start + 1) >>> 0, int32(bytes, start + 5) >>> 0, int32(bytes, start + 9), int32(bytes, start + 13) >>> 0);
      if (bytes[start + 17] === 1) this.#sendStatus(false);
    }
  }

  /** A status with a request to answer: a network that swallows everything would else never show. */
  #tick(): void {
    this.#sendStatus(true);
    const alive = this.#reader.held || this.#reader.reads !== this.#readsSeen;
    this.#readsSeen = this.#reader.reads;
    this.#silentMs = alive ? 0 : this.#silentMs + statusMs;
    if (this.#silentMs >= silenceMs) this.#fail(new Error(`the source has sent nothing for ${silenceMs / 1000} s, though it was asked to: the connection is dead`));
  }

  #sendStatus(wantReply: boolean): void {
    const status = Buffer.alloc(5 + 34);
    status[0] = Frame.copyData;
    status.writeInt32BE(4 + 34, 1);
    status[5] = 0x72;
    // written, flushed, applied: for a logical slot only the flushed one counts, and it is what all of them say
    for (const at of [6, 14, 22]) status.writeBigUInt64BE(this.#confirmed, at);
    status.writeBigInt64BE(BigInt(Date.now()) * 1000n - 946_684_800_000_000n, 30);
    status[38] = wantReply ? 1 : 0;
    this.#socket.write(status);
  }

  #query(text: string): void {
    const body = Buffer.from(`${text}\0`);
    const head = Buffer.alloc(5);
    head.write('Q');
    head.writeInt32BE(body.length + 4, 1);
    this.#socket.write(Buffer.concat([head, body]));
  }
}

function startCommand({ slot, publication, from, binary }: ReplicationOptions): string {
  const quoted = `"${slot.replaceAll('"', '""')}"`;
  return `START_REPLICATION SLOT ${quoted} LOGICAL ${lsnText(from)} (proto_version '1', publication_names '${`"${publication}"`.replaceAll("'", "''")}', messages 'true'${binary ? ", binary 'true'" : ''})`;
}

const statusMs = 3_000;
const silenceMs = 30_000;

const Frame = { copyData: 0x64, copyDone: 0x63, copyBoth: 0x57, error: 0x45, ready: 0x5a } as const;

/** An ErrorResponse: fields of a type byte and a text, ended by a zero. */
function serverError(body: Buffer): Error & { code?: string | undefined } {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at + 1);
    fields.set(String.fromCharCode(body[at]!), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return Object.assign(new Error(fields.get('M') ?? 'the server reported an error'), { code: fields.get('C') });
}
