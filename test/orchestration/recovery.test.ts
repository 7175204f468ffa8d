import { describe, expect, test } from 'vitest';
import type { RecoveryInput, RecoveryStatus } from '../../core/recovery.ts';
import { services } from '../embedded/services.ts';
import { refused, RunningPipeline, Stage, waited } from './stage.ts';

function staged(): Stage {
  const stage = new Stage();
  stage.stepMs = 400;
  stage.load = async () => void (stage.loaded = true);
  return stage;
}

describe('a pipeline that is loaded anew', () => {
  test('ends its steps, forgets what parked it, and begins with the first load', async () => {
    const stage = staged();
    let isLost = true;
    stage.step = async (input, part) => {
      if (part === 'capture' && isLost) throw refused('the slot is gone');
      return stage.plainStep(input, part);
    };
    stage.load = async () => {
      expect(stage.running).toEqual(new Set());
      [isLost, stage.loaded] = [false, true];
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(({ state }) => state === 'parked');
    await pipeline.handle.executeUpdate('loadAnew', { args: [1] });
    await pipeline.until(({ state, capture, error }) => state === 'running' && capture.state === 'running' && error === null);
    expect(stage.loads).toBe(1);
    expect((await pipeline.status()).notes).toContain('it is loaded anew, as it was asked to be');
  }, 40_000);

  test('also while it cannot be loaded', async () => {
    const stage = staged();
    stage.loaded = false;
    stage.load = async () => {
      if (stage.loads === 1) throw refused('no right to read');
      stage.loaded = true;
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(({ error }) => error === 'no right to read');
    await pipeline.handle.executeUpdate('loadAnew', { args: [1] });
    await pipeline.until(({ state }) => state === 'running');
    expect(stage.loads).toBe(2);
  }, 40_000);
});

describe('the recovery workflow', () => {
  test('states the gap, asks, and does nothing before it is answered', async () => {
    const stage = staged();
    const did: string[] = [];
    stage.beside = { planRecovery: async () => ({ gap: 'the slot is gone', rows: 7, says: [] }), beginAnew: async () => (did.push('begun'), 1), untilLoaded: async () => {} };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    const start = (id: number) => pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: false } satisfies RecoveryInput] });
    const waiting = async (handle: Awaited<ReturnType<typeof start>>) => {
      while ((await handle.query<RecoveryStatus>('status')).state !== 'waiting') await waited(50, new AbortController().signal);
    };
    const refusedOne = await start(1);
    await waiting(refusedOne);
    await refusedOne.cancel();
    expect(await refusedOne.result()).toMatchObject({ state: 'cancelled', plan: { gap: 'the slot is gone' } });
    expect(did).toEqual([]);

    const approvedOne = await start(2);
    await waiting(approvedOne);
    await approvedOne.executeUpdate('approve');
    expect(await approvedOne.result()).toMatchObject({ state: 'done', error: null });
    expect(did).toEqual(['begun']);
  }, 40_000);
});
