import { expect, test } from 'vitest';
import { resolve } from '../../core/define/resolve.ts';
import { position } from '../../core/position.ts';
import { SegmentBuilder } from '../../core/segment-builder.ts';
import definition from '../../pipelines/trending.ts';
import { SegmentCache } from './segment-cache.ts';

test('small segments count with what is made of them: an hour of an idle stream must not fill the memory', () => {
  const builder = new SegmentBuilder(resolve(definition, {}), { epoch: 1, from: position(1, 100n, 0) });
  for (let i = 1; i <= 1_000; i++) builder.transaction({ lsn: BigInt(100 + i), commitTimeMs: 1e12 + i, events: [{ op: 'insert', row: { id: String(i), post_id: '1', viewed_at: '2026-11-21 10:00:00+00' } }] }).cut();
  const cache = new SegmentCache(1 << 20);
  for (const segment of builder.segments) cache.keep(segment);
  expect(cache.size).toBeGreaterThan(30);
  expect(cache.size).toBeLessThan(60);
  expect(cache.get(1_000)?.header.seq).toBe(1_000);
  cache.forgetAll();
  expect(cache.size).toBe(0);
});
