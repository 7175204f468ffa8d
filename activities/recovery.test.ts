import { expect, test } from 'vitest';
import { resolve } from '../core/define/resolve.ts';
import definition from '../pipelines/trending.ts';
import { planRecovery } from './recovery.ts';
import type { Runtime } from './runtime.ts';

test('of one that was destroyed, or never applied, there is nothing to recover', async () => {
  const state = { query: async () => ({ rows: [] }) };
  const runtime = { state, definition: async () => ({ pipeline: resolve(definition, {}) }) } as unknown as Runtime;
  await expect(planRecovery(runtime, { pipeline: 'trending' })).rejects.toThrow('Pipeline trending is not loaded, and so there is nothing to recover. To load it as its source is now: ./sluice apply trending');
});
