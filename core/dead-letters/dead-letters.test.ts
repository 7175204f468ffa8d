import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contents, endOf, intents, pipeline, streamOf, type Intent } from '../../test/sinks/stream.ts';
import { postgresText } from '../columns/postgres-text.ts';
import { origin, positionAt, type Position } from '../position.ts';
import { batchOf, type Batch, type Segment } from '../segment.ts';
import { Folder } from '../views/fold.ts';
import { paneSetsOf } from '../views/pane-sets.ts';
import { editContent, notComputedAnew } from './edit-content.ts';
import { eventPositions } from '../event-positions.ts';
import { letterSegment } from './letter-segment.ts';
import { passingOver } from './passing-over.ts';
import { refusedEvent } from './refused-event.ts';

const cuts = fc.uniqueArray(fc.nat(70), { maxLength: 6 }).map((list) => new Set(list));
const set = paneSetsOf(pipeline)[0]!;

function rowsOf(segments: readonly Segment[], image: Batch['image']): Map<Position, Record<string, string | null>> {
  return new Map(
    segments.flatMap((segment) => {
      const batch = batchOf(segment, 'events', image);
      if (!batch) return [];
      return Array.from({ length: batch.rows }, (_, row) => [positionAt(batch.positions, row), Object.fromEntries([...batch.columns].map(([name, vector]) => [name, postgresText(vector, row)]))] as const);
    }),
  );
}

function folded(segments: readonly Segment[]): Record<string, number[]> {
  const folder = new Folder(pipeline.source.events, set, pipeline.settings.maxFutureMs);
  const sums: Record<string, number[]> = {};
  for (const segment of segments) {
    folder.add(segment, { fromTransaction: 0, toTransaction: segment.transactions.count });
    const { deltas, aside } = folder.take();
    for (const each of [deltas, ...aside.map((one) => one.deltas)]) {
      for (let at = 0; at < each.count; at++) {
        const key = `${each.panes[at]} ${each.keys[at]}`;
        sums[key] = each.values.map((values, place) => (sums[key]?.[place] ?? 0) + values[at]!);
      }
    }
  }
  return Object.fromEntries(Object.entries(sums).filter(([, values]) => values.some((value) => value !== 0)));
}

describe('a letter', () => {
  test('is the event: the stream without it, and the letter as a segment, are the stream', () => {
    fc.assert(
      fc.property(intents, fc.integer({ min: 1, max: 9 }), cuts, fc.nat(), (list, size, cutAt, which) => {
        const { segments } = streamOf(list, size, cutAt);
        const to = endOf(segments);
        const positions = eventPositions(segments, origin, to);
        expect(positions).toEqual([...new Set([...rowsOf(segments, 'after').keys(), ...rowsOf(segments, 'before').keys()])].sort());
        if (positions.length === 0) return;
        const position = positions[which % positions.length]!;
        const rest = passingOver(segments, position, origin, to);
        const letter = letterSegment(pipeline, refusedEvent(segments, position, 'id'));
        expect(rowsOf(rest, 'after').has(position) || rowsOf(rest, 'before').has(position)).toBe(false);
        for (const image of ['after', 'before'] as const) {
          const together = new Map([...rowsOf(rest, image), ...rowsOf([letter], image)]);
          expect(new Map([...together].sort(([a], [b]) => (a < b ? -1 : 1)))).toEqual(rowsOf(segments, image));
        }
        expect(folded([...rest, letter])).toEqual(folded(segments));
        for (const [index, segment] of rest.entries()) {
          for (const batch of segment.batches) expect(batch.transactionEnds.at(-1)).toBe(batch.rows);
          expect(segment.transactions).toBe(segments[index]!.transactions);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('has the key, the operation and the time of its transaction', () => {
    const row: Intent['row'] = { content_id: contents[1]!, event_ts: '2026-11-21T10:00:00.000Z', duration_ms: '1500' };
    const { segments, transactions } = streamOf([{ kind: 'insert', slot: 0, row }, { kind: 'delete', slot: 0, row }], 1, new Set());
    const [insert, deletion] = eventPositions(segments, origin, endOf(segments)).map((position) => refusedEvent(segments, position, 'id'));
    expect(insert).toMatchObject({ op: 'insert', key: '1', commitUs: transactions[1]!.commitTimeMs * 1000, content: { after: { id: '1', duration_ms: '1500', engagement_seconds: '1.5', title: 'Title 1 "ü"', device: null } } });
    expect(deletion).toMatchObject({ op: 'delete', key: '1', commitUs: transactions[2]!.commitTimeMs * 1000, content: { before: { id: '1', content_id: contents[1] } } });
    expect(deletion!.content.after).toBeUndefined();
  });
});

describe('an edit', () => {
  const letter = { op: 'insert', content: { after: { id: '1', content_id: null, event_ts: '2026-11-21 10:00:00+00', duration_ms: '5', device: 'ios', raw_payload: null, title: 'x' } } } as const;

  test('changes values, and leaves the others', () => {
    expect(editContent(pipeline, 'external', letter, { duration_ms: '-7', title: null, raw_payload: '{"a":1}' })).toEqual({ after: { ...letter.content.after, duration_ms: '-7', title: null, raw_payload: '{"a":1}' } });
  });

  test.each([
    ['external', { nowhere: '1' }, 'there is no column nowhere in this row; it has id, content_id'],
    ['external', { id: '2' }, 'column id finds the row in its destination'],
    ['enriched', { event_ts: '2026-11-21 10:00:00+00' }, 'column event_ts finds the row in its destination'],
    ['external', { event_ts: null }, 'column event_ts is NOT NULL'],
    ['external', { duration_ms: '1.5' }, 'column duration_ms is of type int4, and "1.5" is not'],
    ['external', { duration_ms: '2147483648' }, 'is not'],
    ['external', { content_id: 'x' }, 'column content_id is of type uuid'],
    ['external', { event_ts: 'yesterday' }, 'column event_ts is of type timestamptz'],
    ['external', { raw_payload: '{' }, 'column raw_payload is of type jsonb'],
    ['live', { device: 'x' }, 'edit the letter of that lane'],
  ])('of lane %s to %o is refused', (lane, changes, sentence) => {
    expect(() => editContent(pipeline, lane, letter, changes as Record<string, string | null>)).toThrow(sentence);
  });

  test('leaves what is made out of other columns, and says which that is', () => {
    const rows = { op: 'insert', content: { after: { ...letter.content.after, engagement_pct: '5' } } } as const;
    expect(notComputedAnew(pipeline, rows, ['duration_ms'])).toEqual(['title', 'engagement_pct']);
    expect(notComputedAnew(pipeline, rows, ['duration_ms', 'title'])).toEqual(['engagement_pct']);
    expect(notComputedAnew(pipeline, { op: 'delete', content: { before: { id: '1' } } }, ['duration_ms'])).toEqual([]);
  });

  test('of a deletion changes the old row', () => {
    expect(editContent(pipeline, 'external', { op: 'delete', content: { before: { id: '1', duration_ms: '5' } } }, { duration_ms: '6' })).toEqual({ before: { id: '1', duration_ms: '6' } });
  });
});
