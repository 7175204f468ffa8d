import fc from 'fast-check';
import { resolve } from '../../core/define/resolve.ts';
import type { Position } from '../../core/position.ts';
import { origin } from '../../core/position.ts';
import type { PlainEvent, PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import type { Segment } from '../../core/segment.ts';
import engagement from '../../pipelines/engagement.ts';

export const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_c2VjcmV0' });

export const contents = Array.from({ length: 5 }, (_, index) => `${String(index).repeat(8)}-aaaa-4bbb-8ccc-${String(index).repeat(12)}`);

/** Some time on a day; each test adds to it. */
export const start = Date.parse('2026-11-21T10:00:00Z');

/** What somebody wants to do to the source table; `slot` chooses one of the rows that are there. */
export type Intent = { readonly kind: 'insert' | 'update' | 'move' | 'rekey' | 'delete' | 'truncate'; readonly slot: number; readonly row: Omit<TextRow, 'id'> };

const times = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: -3 * 86_400_000, max: 60_000 }).map((offset) => new Date(start + offset).toISOString()) },
  { weight: 1, arbitrary: fc.constantFrom('infinity', '-infinity', '0044-03-15 12:00:00+00 BC', '9999-12-31 23:59:59.999999+00', '1899-12-31 23:59:59+00', '2299-12-31 23:59:59.999999+00') },
);

export const rows = fc.record({
  content_id: fc.option(fc.constantFrom(...contents), { freq: 8 }),
  user_id: fc.option(fc.uuid(), { freq: 8 }),
  event_type: fc.option(fc.constantFrom('play', 'pause', 'finish', 'click'), { freq: 8 }),
  event_ts: times,
  duration_ms: fc.option(fc.integer({ min: -100_000, max: 2_000_000 }).map(String), { freq: 8 }),
  device: fc.option(fc.oneof(fc.constantFrom('ios', 'android'), fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''))), { freq: 8 }),
  raw_payload: fc.option(fc.json(), { freq: 8 }),
}) satisfies fc.Arbitrary<Omit<TextRow, 'id'>>;

export const intents = fc.array(
  fc.record({
    kind: fc.oneof(
      { weight: 24, arbitrary: fc.constant('insert' as const) },
      { weight: 12, arbitrary: fc.constantFrom('update' as const, 'move' as const) },
      { weight: 6, arbitrary: fc.constantFrom('delete' as const, 'rekey' as const) },
      { weight: 1, arbitrary: fc.constant('truncate' as const) },
    ),
    slot: fc.nat(),
    row: rows,
  }),
  { minLength: 1, maxLength: 60 },
);

/** A source table that intents are done to: it keeps the rows, and says which change events there were. */
export class SourceTable {
  readonly rows = new Map<string, TextRow>();
  #nextId = 1;

  do({ kind, slot, row }: Intent): PlainEvent {
    const ids = [...this.rows.keys()];
    const id = ids[slot % Math.max(1, ids.length)];
    if (kind === 'truncate') {
      this.rows.clear();
      return { op: 'truncate' };
    }
    if (kind === 'insert' || id === undefined) return { op: 'insert', row: this.#put({ ...row, id: String(this.#nextId++) }) };
    const old = this.rows.get(id)!;
    if (kind === 'delete') {
      this.rows.delete(id);
      return { op: 'delete', old };
    }
    if (kind === 'move') return { op: 'update', old, row: this.#put({ ...old, event_ts: row['event_ts'] ?? null }) };
    if (kind === 'update') return { op: 'update', old, row: this.#put({ ...old, ...row, event_ts: old['event_ts'] ?? null }) };
    this.rows.delete(id);
    return { op: 'update', old, row: this.#put({ ...row, id: String(this.#nextId++) }) };
  }

  #put(row: TextRow): TextRow {
    this.rows.set(row['id']!, row);
    return row;
  }
}

export type Stream = { readonly segments: readonly Segment[]; readonly table: SourceTable; readonly transactions: readonly PlainTransaction[] };

export const titles = contents.slice(0, 4).map((id, index): PlainEvent => ({ op: 'insert', table: 'content', row: { id, title: `Title ${index} "ü"`, content_type: 'video', length_seconds: String(index * 100) } }));

/** Transactions of `perTransaction` intents each, after one that fills the dimension. */
export function streamOf(list: readonly Intent[], perTransaction: number, cuts: ReadonlySet<number>): Stream {
  const table = new SourceTable();
  const events = list.map((intent) => table.do(intent));
  const transactions: PlainTransaction[] = [{ lsn: 1000n, commitTimeMs: start, events: titles }];
  for (let at = 0; at < events.length; at += perTransaction) {
    transactions.push({ lsn: 2000n + BigInt(at) * 10n, commitTimeMs: start + at * 1000, events: events.slice(at, at + perTransaction) });
  }
  return { segments: segmentsOf(transactions, cuts), table, transactions };
}

/** The same stream cut elsewhere: before the events whose number in the stream is in `cuts`, and at every third end. */
export function segmentsOf(transactions: readonly PlainTransaction[], cuts: ReadonlySet<number>): readonly Segment[] {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: origin });
  let event = 0;
  transactions.forEach((transaction, index) => {
    const inside = transaction.events.flatMap((_, place) => (cuts.has(event + place) ? [place] : []));
    event += transaction.events.length;
    builder.transaction(transaction, new Set(inside));
    if (index % 3 === 2) builder.cut();
  });
  return builder.cut().segments;
}

export function endOf(segments: readonly Segment[]): Position {
  return segments.at(-1)!.header.to;
}
