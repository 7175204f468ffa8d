import { expect, test } from 'vitest';
import { resolve } from '../core/define/resolve.ts';
import definition from '../pipelines/trending.ts';
import { inActivity } from '../test/orchestration/in-activity.ts';
import { planBackfill } from './backfill.ts';
import type { Runtime } from './runtime.ts';

const pipeline = resolve(definition, {});
const request = { pipeline: pipeline.name, fromMs: 0, toMs: 60_000, views: [], sinks: ['none'], chunkRows: 10, rowsPerSecond: null };
/** A worker that can still tell what was before a migration. */
const runtime = (state = {}) => ({ state, definition: async (_name: string, hash = 'now') => ({ pipeline, hash, shape: { number: 1, columns: {} } }) }) as unknown as Runtime;

test('what was asked for by columns of before a migration is refused, not tried for ever', async () => {
  const planned = (definitionHash: string) => inActivity(() => planBackfill(runtime(), { ...request, definitionHash }));
  await expect(planned('before')).rejects.toThrow(/migrated meanwhile/);
  await expect(planned('now')).rejects.toThrow(/none of trending cannot be written/);
});

test.each([
  ['that was destroyed, or never applied', [], 'Pipeline trending is not loaded, and so it has no windows. To load it as its source is now: ./sluice apply trending'],
  ['whose first load is under way', [{ epoch: '1', state: 'loading', confirmed_lsn: null }], 'Pipeline trending is not loaded, and its first load computes every window there is. See ./sluice status.'],
])('of a pipeline %s nothing is computed, and it says what to do', async (_, rows, sentence) => {
  const state = { query: async () => ({ rows }) };
  await expect(inActivity(() => planBackfill(runtime(state), { ...request, sinks: [] }))).rejects.toThrow(sentence);
});
