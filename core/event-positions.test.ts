import fc from 'fast-check';
import { expect, test } from 'vitest';
import trending from '../pipelines/trending.ts';
import { resolve } from './define/resolve.ts';
import { eventPosition, eventPositions } from './event-positions.ts';
import { position } from './position.ts';
import type { PlainEvent } from './segment-builder.ts';
import { SegmentBuilder } from './segment-builder.ts';

const pipeline = resolve(trending, {});
const from = position(1, 0n, 0);
const row = (id: number) => ({ id: String(id), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' });
const event = fc.constantFrom('insert', 'update', 'rekey', 'delete', 'truncate').map((kind): PlainEvent => {
  if (kind === 'insert') return { op: 'insert', row: row(1) };
  if (kind === 'delete') return { op: 'delete', old: row(1) };
  if (kind === 'truncate') return { op: 'truncate' };
  return { op: 'update', old: row(1), row: row(kind === 'rekey' ? 2 : 1) };
});

test('the place of an event by its number is where all of them in order have it', () => {
  fc.assert(
    fc.property(fc.array(fc.array(event, { maxLength: 6 }), { minLength: 1, maxLength: 6 }), fc.nat(), fc.nat(), fc.nat(5), (transactions, one, other, cutEach) => {
      const builder = new SegmentBuilder(pipeline, { epoch: 1, from });
      transactions.forEach((events, index) => {
        builder.transaction({ lsn: BigInt(index + 1) * 10n, commitTimeMs: 1e12, events, canaryMs: 1e12 });
        if (cutEach > 0 && index % cutEach === 0) builder.cut();
      });
      const { segments } = builder.cut();
      const all = [from, ...eventPositions(segments, from, segments.at(-1)!.header.to)];
      const [start, end] = [all[one % all.length]!, all[other % all.length]!].sort() as [typeof from, typeof from];
      const expected = eventPositions(segments, start, end);
      for (let count = 1; count <= expected.length + 1; count++) expect(eventPosition(segments, start, end, count)).toBe(expected[count - 1]);
    }),
  );
});
