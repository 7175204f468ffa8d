import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Config } from '../../core/config.ts';
import { loadedDefinition, writtenDefinition, type LastingDefinition } from '../../core/define/definition-hash.ts';
import { resolve } from '../../core/define/resolve.ts';
import { planRedefinition } from '../../core/redefine-plan.ts';
import { pipelines } from '../../pipelines/index.ts';
import { edit, editFor, type Edits, editsOf, readEdits } from './edits.ts';
import { grown } from './grown.ts';

const names = Object.keys(grown);

afterEach(() => {
  for (const name of names) edit(name, {});
});

const environment = { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' };

/** As it is put on record and read again. */
function lasting(name: string, edits: Edits): LastingDefinition {
  edit(name, edits);
  return JSON.parse(loadedDefinition(resolve(pipelines[name]!, environment)).json) as LastingDefinition;
}

describe('what the laboratory makes of a pipeline', () => {
  test.each(names)('%s gets more in place and loses nothing by it, and loses just that again', (name) => {
    const [plain, more] = [lasting(name, {}), lasting(name, { grown: true })];
    const sinks = Object.keys(grown[name]!.sinks);
    const there = planRedefinition(plain, more);
    expect(there).toMatchObject({ impossible: [], loses: [], ended: [], droppedSets: [] });
    // each of the ways by which something new is filled
    expect([there.lives, there.fills, there.again].map(({ length }) => length > 0)).toEqual([true, name !== 'laboratory', true]);
    expect(there.loads).toEqual(sinks.includes('copy') ? ['copy'] : []);
    const back = planRedefinition(more, plain);
    expect(back).toMatchObject({ impossible: [], ended: sinks, loads: [], lives: [], fills: [], again: [], freshSets: [], droppedSets: there.freshSets });
    expect(back.emptied).toEqual(Object.keys(grown[name]!.views));
  });

  test('a sink that may be detached is no other definition, and workers are to read it all the same', () => {
    const plain = lasting('engagement', {});
    const before = writtenDefinition(pipelines['engagement']!);
    expect(lasting('engagement', { detaches: ['enriched'] })).toEqual(plain);
    expect(writtenDefinition(pipelines['engagement']!)).not.toBe(before);
    expect(pipelines['engagement']!.sinks).toMatchObject({ enriched: { onBudget: 'detach' }, live: expect.not.objectContaining({ onBudget: 'detach' }) });
  });

  test('is in a file for the workers, and in this process', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-edits-'));
    try {
      const world = { config: { dataDir } as Config, name: 'engagement' };
      expect(editsOf(world)).toEqual({});
      await editFor(world, { grown: true });
      expect(editsOf(world)).toEqual({ grown: true });
      expect(readEdits(dataDir)).toEqual({ engagement: { grown: true } });
      expect(pipelines['engagement']!.sinks).toHaveProperty('copy');
      await editFor(world, {});
      expect(pipelines['engagement']!.sinks).not.toHaveProperty('copy');
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
