import { describe, expect, test } from 'vitest';
import { resolve } from './define/resolve.ts';
import { postgresText } from './columns/postgres-text.ts';
import definition from '../pipelines/engagement.ts';
import { position } from './position.ts';
import { CorruptSegment, openSegment, segmentHeader } from './segment-file.ts';
import { SegmentBuilder, buildSegment } from './segment-builder.ts';
import { batchOf } from './segment.ts';

const pipeline = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
const from = position(1, 100n, 0);
const content = '00000000-0000-4000-8000-00000000000';

function row(id: number, more: Record<string, string | null> = {}) {
  return { id: String(id), event_type: 'play', event_ts: `2026-11-21 10:00:${String(id % 60).padStart(2, '0')}+00`, content_id: `${content}${id % 3}`, device: 'phone', raw_payload: `{"n": ${id}}`, ...more };
}

describe('a segment', () => {
  const segment = buildSegment(pipeline, {
    epoch: 1,
    from,
    transactions: [
      { lsn: 200n, commitTimeMs: Date.parse('2026-11-21T10:00:30Z'), events: [{ op: 'insert', table: 'content', row: { id: `${content}1`, title: 'Ünï', length_seconds: '10' } }, { op: 'insert', row: row(1, { duration_ms: '5000' }) }, { op: 'insert', row: row(2) }] },
      { lsn: 300n, commitTimeMs: Date.parse('2026-11-21T10:00:31Z'), events: [{ op: 'update', old: row(1), row: row(7) }, { op: 'delete', old: row(2) }, { op: 'truncate' }, { op: 'insert', row: row(59) }] },
    ],
  });

  test('holds what was written, enriched', () => {
    const rows = batchOf(segment, 'events', 'after')!;
    const texts = (name: string) => Array.from({ length: rows.rows }, (_, index) => postgresText(rows.columns.get(name)!, index));
    expect(texts('id')).toEqual(['1', '2', '7', '59']);
    expect(texts('title')).toEqual(['Ünï', null, 'Ünï', null]);
    expect(texts('engagement_pct')).toEqual(['50', null, null, null]);
    expect(texts('event_ts')[0]).toBe('2026-11-21 10:00:01+00');
    expect([...rows.transactionEnds]).toEqual([2, 4]);
  });

  test('E2: the delete and the insert of a key change have an ordinal each, and TRUNCATE has one', () => {
    const after = batchOf(segment, 'events', 'after')!;
    const before = batchOf(segment, 'events', 'before')!;
    const ordinals = (words: Uint32Array) => Array.from(words.filter((_, index) => index % 4 === 0));
    expect(ordinals(after.positions)).toEqual([2, 3, 2, 5]);
    expect(ordinals(before.positions)).toEqual([1, 3]);
    expect(segment.truncates).toEqual([{ table: 'events', position: position(1, 300n, 4), transaction: 1 }]);
    expect(segment.header.to).toBe(position(1, 300n, 5));
  });

  test('E13: a clock is the greatest event time clamped to the commit time; far futures and NULLs do not move it', () => {
    const clocks = (events: ReturnType<typeof row>[]) => [...buildSegment(pipeline, { epoch: 1, from, transactions: [{ lsn: 200n, commitTimeMs: Date.parse('2026-11-21T10:00:30Z'), events: events.map((each) => ({ op: 'insert' as const, row: each })) }] }).transactions.clocks];
    const us = (text: string) => Date.parse(text) * 1000;
    expect(clocks([row(5), row(3)])).toEqual([us('2026-11-21T10:00:05Z')]);
    expect(clocks([row(45)])).toEqual([us('2026-11-21T10:00:30Z')]);
    expect(clocks([row(5), row(6, { event_ts: '9999-12-31 00:00:00+00' }), row(7, { event_ts: 'infinity' })])).toEqual([us('2026-11-21T10:00:05Z')]);
  });

  test('a changed byte is found', () => {
    const bytes = segment.bytes.slice();
    bytes[bytes.length - 100]! ^= 1;
    expect(() => openSegment(bytes, { verify: true })).toThrow(CorruptSegment);
    expect(() => openSegment(new Uint8Array(64), { verify: true })).toThrow(CorruptSegment);
  });

  test('its header is read from its beginning alone', () => {
    expect(segmentHeader(segment.bytes.subarray(0, 20_000))).toEqual(segment.header);
    expect(segmentHeader(segment.bytes.subarray(0, 100))).toBeUndefined();
  });
});

describe('cuts inside a transaction', () => {
  test('E5: events, positions and clocks are those of the uncut stream', () => {
    const transaction = { lsn: 200n, commitTimeMs: Date.parse('2026-11-21T10:01:30Z'), events: [59, 3, 4, 5].map((id) => ({ op: 'insert' as const, row: row(id) })) };
    const whole = new SegmentBuilder(pipeline, { epoch: 1, from }).transaction(transaction).cut().segments;
    const parts = new SegmentBuilder(pipeline, { epoch: 1, from }).transaction(transaction, new Set([1, 3])).cut().segments;
    expect(parts.map(({ transactions }) => [...transactions.complete])).toEqual([[0], [0], [1]]);
    expect(parts.at(-1)!.header.to).toBe(whole[0]!.header.to);
    expect([...parts.at(-1)!.transactions.clocks]).toEqual([...whole[0]!.transactions.clocks]);
    const ids = (list: typeof parts) => list.flatMap((each) => { const batch = batchOf(each, 'events', 'after')!; return Array.from({ length: batch.rows }, (_, index) => postgresText(batch.columns.get('id')!, index)); });
    expect(ids(parts)).toEqual(ids(whole));
    parts.forEach((part, index) => expect(part.header.from).toBe(index === 0 ? from : parts[index - 1]!.header.to));
  });

  test('E6: a capture that begins inside a transaction drops what the chain has, and no clock is lost', () => {
    const transaction = { lsn: 200n, commitTimeMs: Date.parse('2026-11-21T10:01:30Z'), events: [59, 3, 4, 5].map((id) => ({ op: 'insert' as const, row: row(id) })) };
    const [rest] = new SegmentBuilder(pipeline, { epoch: 1, from: position(1, 200n, 2) }).transaction(transaction).cut().segments;
    const batch = batchOf(rest!, 'events', 'after')!;
    expect(Array.from({ length: batch.rows }, (_, index) => postgresText(batch.columns.get('id')!, index))).toEqual(['4', '5']);
    expect(rest!.transactions.clocks[0]).toBe(Date.parse('2026-11-21T10:00:59Z') * 1000);
  });
});
