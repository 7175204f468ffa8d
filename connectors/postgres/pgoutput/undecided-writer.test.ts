import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePosition, position, type Position } from '../../../core/position.ts';
import { encodeSegment, openSegment } from '../../../core/segment-file.ts';
import type { Segment } from '../../../core/segment.ts';
import { beginMessage, commitMessage, eventMessage, logicalMessage, relationMessage } from '../../../test/simulation/pgoutput-writer.ts';
import { StreamDiverged } from '../../../core/capture/assembler.ts';
import { beforeTransaction, eachMessage, UndecidedWriter, wholeTo } from './undecided-writer.ts';

type Sent = { readonly bytes: Buffer; readonly wal: number };
/** Of a row or a canary; another: a message of somebody else. `form`: how many DDLs its table has been through. */
type Item = { readonly what: 'row' | 'canary' | 'another'; readonly form: number };
type Transaction = { readonly lsn: bigint; readonly items: readonly Item[] };

const table = (form: number) => ({ id: 1, name: 'events', columns: [{ name: `value_${form}`, typeOid: 25 }] });
const whole = 0xffffffff;

/** What a server sends on a connection that begins there: a relation before the first row that it is needed for. */
function* sent(transactions: readonly Transaction[], from: bigint): Generator<Sent> {
  let form: number | undefined;
  for (const { lsn, items } of transactions) {
    if (lsn < from) continue;
    yield { bytes: beginMessage(lsn, 0n), wal: 0 };
    for (const [index, item] of items.entries()) {
      if (item.what === 'row' && item.form !== form) {
        form = item.form;
        yield { bytes: relationMessage(table(form)), wal: 0 };
      }
      yield { bytes: ofItem(item, lsn, index), wal: walOf(lsn, index) };
    }
    yield { bytes: commitMessage(lsn, lsn + 8n, 0n), wal: 0 };
  }
}

function ofItem({ what, form }: Item, lsn: bigint, index: number): Buffer {
  if (what === 'row') return eventMessage(table(form), { op: 'insert', row: { [`value_${form}`]: `${lsn}.${index}` } });
  return logicalMessage(0n, what === 'canary' ? 'sluice:p' : 'sluice:other', `${lsn}.${index}`);
}

const walOf = (lsn: bigint, index: number) => Number(lsn) * 100 + index;

const transactions = fc
  .array(fc.array(fc.record({ what: fc.constantFrom('row' as const, 'row' as const, 'canary' as const, 'another' as const), ddl: fc.boolean() }), { maxLength: 5 }), { minLength: 1, maxLength: 8 })
  .map((all) => {
    let form = 0;
    return all.map((items, index): Transaction => ({ lsn: BigInt(index + 1) * 100n, items: items.map(({ what, ddl }) => ({ what, form: (form += ddl ? 1 : 0) })) }));
  });

/** A connection: it ends after so many messages, and is cut behind those. */
const connection = fc.record({ messages: fc.nat({ max: 30 }), cuts: fc.array(fc.nat({ max: 30 }), { maxLength: 6 }) });

class Keeping {
  readonly segments: Segment[] = [];
  readonly start: Position;

  constructor(start: Position) {
    this.start = start;
  }

  get to(): Position {
    return this.segments.at(-1)?.header.to ?? this.start;
  }

  /** What was not cut when a connection ends is lost. */
  connect(stream: readonly Transaction[], messages: number, isCut: (index: number) => boolean): void {
    const last = this.segments.at(-1)?.header;
    const writer = new UndecidedWriter({ pipeline: 'p', shard: 's', captureId: 'c', epoch: 1, after: { seq: last?.seq ?? 0, to: this.to }, lastLsn: last?.lastEventLsn });
    let index = 0;
    for (const { bytes, wal } of sent(stream, parsePosition(this.to).lsn)) {
      if (index === messages) return;
      writer.message(bytes, 0, bytes.length, 0, wal);
      if (isCut(index++) && !writer.isEmpty) this.segments.push(openSegment(encodeSegment(writer.cut()), { verify: true }));
    }
  }

  messages(segment: Segment): { readonly text: string; readonly wal: number }[] {
    const found: { text: string; wal: number }[] = [];
    eachMessage(segment, (bytes, start, end, high, low) => found.push({ text: bytes.toString('latin1', start, end), wal: high * 2 ** 32 + low }));
    return found;
  }
}

describe('the stream as it came', () => {
  test('is kept once and in order, however often connections end and wherever it is cut, and each segment has the relations of its rows', () => {
    fc.assert(
      fc.property(transactions, fc.array(connection, { maxLength: 5 }), (stream, connections) => {
        const keeping = new Keeping(beforeTransaction(position(1, 100n, 3)));
        for (const { messages, cuts } of connections) keeping.connect(stream, messages, (index) => cuts.includes(index));
        keeping.connect(stream, Number.POSITIVE_INFINITY, () => true);

        const isKept = ({ what }: Item) => what !== 'another';
        const expected = stream.flatMap(({ lsn, items }) => {
          const kept = items.flatMap((item, index) => (isKept(item) ? [{ text: ofItem(item, lsn, index).toString('latin1'), wal: walOf(lsn, index) }] : []));
          return kept.length === 0 ? [] : [{ text: beginMessage(lsn, 0n).toString('latin1'), wal: 0 }, ...kept, { text: commitMessage(lsn, lsn + 8n, 0n).toString('latin1'), wal: 0 }];
        });
        const isRelation = ({ text }: { readonly text: string }) => text.startsWith('R');
        expect(keeping.segments.flatMap((segment) => keeping.messages(segment)).filter((message) => !isRelation(message))).toEqual(expected);

        for (const segment of keeping.segments) {
          let form: string | undefined;
          for (const message of keeping.messages(segment)) {
            if (isRelation(message)) form = /value_\d+/.exec(message.text)![0];
            else if (message.text.startsWith('I')) expect(formOf(stream, message.wal)).toBe(form);
          }
        }
        let at = keeping.start;
        for (const { header } of keeping.segments) {
          expect(header.from).toBe(at);
          expect(header.to > at).toBe(true);
          at = header.to;
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is whole up to the last transaction that has its end', () => {
    const stream: Transaction[] = [{ lsn: 100n, items: [{ what: 'row', form: 0 }] }, { lsn: 200n, items: [{ what: 'row', form: 0 }, { what: 'row', form: 0 }] }];
    const keeping = new Keeping(position(1, 99n, whole));
    // the first transaction, and of the second its beginning and a row
    keeping.connect(stream, 6, (index) => index === 5);
    expect(keeping.to).toBe(position(1, 200n, 1));
    expect(keeping.segments[0]!.header.endLsn).toBeUndefined();
    expect(wholeTo(keeping.to)).toBe(position(1, 199n, whole));
    keeping.connect(stream, Number.POSITIVE_INFINITY, () => true);
    expect(keeping.to).toBe(position(1, 200n, whole));
    expect(wholeTo(keeping.to)).toBe(keeping.to);
    expect(keeping.segments.at(-1)!.header.endLsn).toBe('0/D0');
  });

  test('E6: does not go on in a transaction that is another one by now', () => {
    const row: Item = { what: 'row', form: 0 };
    const keeping = new Keeping(position(1, 99n, whole));
    keeping.connect([{ lsn: 100n, items: [row, row, row] }], 4, (index) => index === 3);
    expect(keeping.to).toBe(position(1, 100n, 2));
    const last = keeping.segments.at(-1)!.header;
    expect(last.lastEventLsn).toBe(`00000000${walOf(100n, 1).toString(16).padStart(8, '0')}`);
    // one message of before is missing: what has its place was written elsewhere
    expect(() => keeping.connect([{ lsn: 100n, items: [row, { what: 'another', form: 0 }, row, row] }], 10, () => true)).toThrow(StreamDiverged);
    expect(() => keeping.connect([{ lsn: 101n, items: [row] }], 10, () => true)).toThrow(StreamDiverged);
  });
});

function formOf(stream: readonly Transaction[], wal: number): string {
  return `value_${stream.find(({ lsn }) => lsn === BigInt(Math.floor(wal / 100)))!.items[wal % 100]!.form}`;
}
