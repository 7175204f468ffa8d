import { BytesColumn } from '../../../core/columns/bytes-columns.ts';
import { valueStart } from '../../../core/columns/vector.ts';
import type { BytesVector } from '../../../core/columns/vector.ts';
import { StreamDiverged } from '../../../core/capture/assembler.ts';
import type { Lsn, Position } from '../../../core/position.ts';
import { lsnText, parsePosition, position } from '../../../core/position.ts';
import type { Segment, SegmentHeader } from '../../../core/segment.ts';
import { Message, canaryPrefix } from './decoder.ts';

/** The ordinal of a position that has all of its transaction. */
const whole = 0xffffffff;

/**
 * The stream as it came, for rows that nobody has decided yet how to read: pgoutput's messages, each with where its record
 * begins in the WAL. A position here is up to where the stream is kept: of a whole transaction its last possible one; of a
 * part, how many of its messages are there. A transaction that comes again is not kept again, and one of which a part is
 * there goes on behind that. Each segment begins with the relations that its rows may be of, so it can be read alone.
 */
export class UndecidedWriter {
  readonly #options: UndecidedWriterOptions;
  readonly #relations = new Map<number, Kept>();
  readonly #messages = new BytesColumn('bytea', 0);
  #positions = new Uint32Array(0);
  #rows = 0;
  #events = 0;
  #bytes = 0;
  #seq: number;
  #from: Position;
  #to: Position;
  #endLsn: Lsn | undefined;
  #lastLsn: string | undefined;
  /** All transactions up to here are kept. */
  #done: Lsn;
  /** Of the transaction behind: so many of its messages are kept. */
  #part: { readonly lsn: Lsn; readonly messages: number } | undefined;

  // the running transaction
  #isKept = false;
  /** It is kept with the first of its messages: of one that has none, nothing is. */
  #beginning: Kept | undefined;
  #lsn: Lsn = 0n;
  #count = 0;

  constructor(options: UndecidedWriterOptions) {
    this.#options = options;
    const { after: { seq, to }, lastLsn } = options;
    const { lsn, ordinal } = parsePosition(to);
    this.#seq = seq + 1;
    this.#from = this.#to = to;
    this.#lastLsn = lastLsn;
    this.#done = ordinal === whole ? lsn : lsn - 1n;
    this.#part = ordinal === whole ? undefined : { lsn, messages: ordinal };
  }

  /** Of the messages since the last cut. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows' changes since the last cut. */
  get events(): number {
    return this.#events;
  }

  /** There is nothing to cut. */
  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  /** A transaction is open: it can be cut as well, but need not. */
  get inTransaction(): boolean {
    return this.#isKept;
  }

  /** One message in [start, end); `walHigh`, `walLow`: where its record begins. */
  message(bytes: Buffer, start: number, end: number, walHigh: number, walLow: number): void {
    switch (bytes[start]) {
      case Message.relation:
        this.#relations.set(bytes.readInt32BE(start + 1), { bytes: Buffer.from(bytes.subarray(start, end)), high: walHigh, low: walLow });
        if (this.#isKept && this.#rows > 0) this.#keep(bytes, start, end, walHigh, walLow);
        return;
      case Message.begin:
        this.#begin(bytes.readBigUInt64BE(start + 1));
        this.#beginning = { bytes: Buffer.from(bytes.subarray(start, end)), high: walHigh, low: walLow };
        return;
      case Message.commit:
        if (this.#isKept && this.#count > 0) {
          this.#keep(bytes, start, end, walHigh, walLow);
          this.#commit(bytes.readBigUInt64BE(start + 10));
        }
        this.#isKept = false;
        return;
      case Message.logical:
        if (!isCanary(bytes, start, this.#options.pipeline)) return;
        break;
      case Message.insert:
      case Message.update:
      case Message.delete:
      case Message.truncate:
        break;
      default:
        return;
    }
    if (!this.#isKept) return;
    this.#count++;
    if (this.#part && this.#count <= this.#part.messages) {
      // it is the same transaction only if it is the same up to here (E6)
      if (this.#count === this.#part.messages && this.#lastLsn !== undefined && this.#lastLsn !== lsnDigits(walHigh, walLow)) throw new StreamDiverged(this.#from, this.#lastLsn, lsnDigits(walHigh, walLow));
      return;
    }
    if (this.#count === 1) this.#keep(this.#beginning!.bytes, 0, this.#beginning!.bytes.length, this.#beginning!.high, this.#beginning!.low);
    this.#keep(bytes, start, end, walHigh, walLow);
    if (bytes[start] !== Message.logical) this.#events++;
    this.#lastLsn = lsnDigits(walHigh, walLow);
  }

  /** What came since the last cut. Its vectors are views of reused memory: encode it before the next message. */
  cut(): Omit<Segment, 'bytes'> {
    const { shard, captureId, epoch } = this.#options;
    if (this.#isKept && this.#count > 0) {
      this.#to = position(epoch, this.#lsn, this.#count);
      this.#endLsn = undefined;
      this.#part = undefined;
    }
    const rows = this.#rows;
    const header: SegmentHeader = {
      shard,
      seq: this.#seq++,
      kind: 'events',
      captureId,
      from: this.#from,
      to: this.#to,
      ...(this.#lastLsn === undefined ? {} : { lastEventLsn: this.#lastLsn }),
      ...(this.#endLsn === undefined ? {} : { endLsn: lsnText(this.#endLsn) }),
    };
    this.#from = this.#to;
    this.#rows = 0;
    this.#events = 0;
    this.#bytes = 0;
    this.#messages.reset();
    return {
      header,
      transactions: noTransactions,
      truncates: [],
      batches: [{ table: 'pgoutput', image: 'after', rows, positions: this.#positions.subarray(0, rows * 4), operations: new Uint8Array(rows), transactionEnds: new Uint32Array(0), columns: new Map([['message', this.#messages.vector(rows)]]) }],
    };
  }

  #begin(lsn: Lsn): void {
    this.#isKept = lsn > this.#done;
    if (!this.#isKept) return;
    if (this.#part && lsn !== this.#part.lsn) throw new StreamDiverged(this.#from, lsnText(this.#part.lsn), lsnText(lsn));
    this.#lsn = lsn;
    this.#count = 0;
  }

  #commit(endLsn: Lsn): void {
    this.#part = undefined;
    this.#done = this.#lsn;
    this.#to = position(this.#options.epoch, this.#lsn, whole);
    this.#endLsn = endLsn;
  }

  #keep(bytes: Buffer, start: number, end: number, high: number, low: number): void {
    if (this.#rows === 0) for (const relation of this.#relations.values()) this.#add(relation.bytes, 0, relation.bytes.length, relation.high, relation.low);
    this.#add(bytes, start, end, high, low);
  }

  #add(bytes: Buffer, start: number, end: number, high: number, low: number): void {
    const row = this.#rows++;
    if (this.#positions.length < this.#rows * 4) {
      const larger = new Uint32Array(Math.max(1024, this.#rows * 8));
      larger.set(this.#positions);
      this.#positions = larger;
      this.#messages.reserve(larger.length / 4);
    }
    this.#positions.set([low, high, 0, 0], row * 4);
    this.#messages.append(bytes, start, end, row);
    this.#bytes += end - start;
  }
}

type Kept = { readonly bytes: Buffer; readonly high: number; readonly low: number };

export type UndecidedWriterOptions = {
  readonly pipeline: string;
  readonly shard: string;
  readonly captureId: string;
  readonly epoch: number;
  /** What the first segment goes on behind. */
  readonly after: Pick<SegmentHeader, 'seq' | 'to'>;
  /** Where the record of the last message that is kept begins, if it is known. */
  readonly lastLsn?: string | undefined;
};

/** Gives the messages of a segment as they came. */
export function eachMessage({ batches }: Pick<Segment, 'batches'>, take: (bytes: Buffer, start: number, end: number, walHigh: number, walLow: number) => void): void {
  for (const { rows, positions, columns } of batches) {
    const messages = columns.get('message') as BytesVector;
    const bytes = Buffer.from(messages.bytes.buffer, messages.bytes.byteOffset, messages.bytes.byteLength);
    for (let row = 0; row < rows; row++) take(bytes, valueStart(messages, row), messages.ends[row]!, positions[row * 4 + 1]!, positions[row * 4]!);
  }
}

/** The commit LSN of a transaction that begins with this message; undefined: it is another one. */
export function beginLsn(bytes: Buffer, start: number): Lsn | undefined {
  return bytes[start] === Message.begin ? bytes.readBigUInt64BE(start + 1) : undefined;
}

/** Where the stream is kept whole if it is kept to `position`. */
export function wholeTo(to: Position): Position {
  const { epoch, lsn, ordinal } = parsePosition(to);
  return ordinal === whole ? to : position(epoch, lsn - 1n, whole);
}

/** So that all of the transaction that `at` is in follows it. */
export function beforeTransaction(at: Position): Position {
  const { epoch, lsn } = parsePosition(at);
  return position(epoch, lsn - 1n, whole);
}

/** Those of others may be as many as they like. */
function isCanary(bytes: Buffer, start: number, pipeline: string): boolean {
  const isTransactional = (bytes[start + 1]! & 1) === 1;
  return isTransactional && bytes.toString('utf8', start + 10, bytes.indexOf(0, start + 10)) === canaryPrefix(pipeline);
}

function lsnDigits(high: number, low: number): string {
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

const noTransactions = { count: 0, lsns: new Uint32Array(0), commitTimes: new Float64Array(0), lastOrdinals: new Uint32Array(0), complete: new Uint8Array(0), clocks: new Float64Array(0) };
