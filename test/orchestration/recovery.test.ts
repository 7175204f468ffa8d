import { Context } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import type { RecoveryInput, RecoveryStatus } from '../../core/recovery.ts';
import { beginAnew, untilLoaded } from '../../activities/recovery.ts';
import type { Runtime } from '../../activities/runtime.ts';
import { beginLoad, endLoad } from '../../connectors/postgres/shard-state.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState } from '../../connectors/postgres/state/state.ts';
import { position } from '../../core/position.ts';
import { services, throwAwayDatabase } from '../embedded/services.ts';
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

test('a load that was refused takes the definition as it is when somebody resumes', async () => {
  const stage = staged();
  stage.loaded = false;
  const loaded: string[] = [];
  stage.load = async ({ definitionHash }) => {
    loaded.push(definitionHash);
    if (definitionHash === 'first') throw refused('table t has no column device');
    stage.loaded = true;
  };
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  await pipeline.until(({ state }) => state === 'parked');
  stage.definitionHash = 'corrected';
  await pipeline.handle.signal('resume');
  await pipeline.until(({ state }) => state === 'running');
  expect(loaded).toEqual(['first', 'corrected']);
}, 40_000);

describe('the recovery workflow', () => {
  test('fails with the reason for which the load is refused, and begins no second one when it is asked again', async () => {
    await using database = await throwAwayDatabase();
    const state = openState(database.url);
    try {
      await migrate(state);
      const stage = staged();
      const load = async () => {
        const epoch = await beginLoad(state, stage.name, 'slot', { hash: 'hash', json: '{}' }, 0);
        await endLoad(state, stage.name, epoch, { position: position(epoch, 1n, 0), systemIdentifier: '1', timeline: 1, tables: {} });
        stage.loaded = true;
      };
      await load();
      let isRefused = true;
      stage.load = async () => {
        if (isRefused) throw refused('table t has no column device.');
        await load();
      };
      const runtime = { state } as Runtime;
      stage.beside = { planRecovery: async () => ({ epoch: 1, gap: null, rows: 7, says: [] }), beginAnew: (input) => beginAnew(runtime, input), untilLoaded: (input) => untilLoaded(runtime, input) };
      await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
      await pipeline.until(({ state: now }) => now === 'running');
      const recovered = async (id: number) => {
        const handle = await pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: true } satisfies RecoveryInput] });
        return handle.result() as Promise<RecoveryStatus>;
      };
      expect(await recovered(1)).toMatchObject({ state: 'failed', error: expect.stringMatching(/no column device\. When that is mended, type \.\/sluice resume/) as string });
      isRefused = false;
      await pipeline.handle.signal('resume');
      await pipeline.until(({ state: now }) => now === 'running');
      const { loads } = stage;
      // as a second attempt of the first one would
      expect(await recovered(2)).toMatchObject({ state: 'done' });
      expect(stage.loads).toBe(loads);
    } finally {
      await state.end();
    }
  }, 40_000);

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

  test.each([['planning', []], ['loading', ['begun']]] as const)('cancelled while it is %s it ends; a load that was begun goes on', async (state, begun) => {
    const stage = staged();
    const did: string[] = [];
    const [blocked, hasBegun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    stage.beside = {
      planRecovery: async () => {
        if (state === 'planning') await (hasBegun.resolve(), blocked.promise);
        return { gap: 'the slot is gone', rows: 7, says: [] };
      },
      beginAnew: async () => (did.push('begun'), 1),
      untilLoaded: async () => {
        const { heartbeat, cancelled } = Context.current();
        const beat = setInterval(() => heartbeat(), 100);
        hasBegun.resolve();
        await cancelled.finally(() => clearInterval(beat));
      },
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    const handle = await pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: true } satisfies RecoveryInput] });
    await hasBegun.promise;
    await handle.cancel();
    blocked.resolve();
    expect(await handle.result()).toMatchObject({ state: 'cancelled' });
    expect(did).toEqual(begun);
  }, 40_000);

  test('has only the destinations written again that lack something, one after another, and loads nothing', async () => {
    const stage = staged();
    const did: string[] = [];
    let fails = true;
    stage.beside = {
      planRecovery: async () => ({ epoch: 3, gap: 'two lack rows', lanes: ['enriched', 'other'], rows: 7, says: [] }),
      rewriteLane: async ({ lane, epoch, ifLacking }) => {
        did.push(`${lane} ${epoch} ${ifLacking}`);
        if (lane === 'other' && fails) throw refused('it refuses a value');
        return { rows: 7 };
      },
      beginAnew: async () => (did.push('begun'), 1),
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    const recovered = async (id: number, more: Partial<RecoveryInput> = {}) => {
      const handle = await pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: true, ...more } satisfies RecoveryInput] });
      return handle.result() as Promise<RecoveryStatus>;
    };
    expect(await recovered(1)).toMatchObject({ state: 'failed', rows: 7, error: 'it refuses a value' });
    fails = false;
    expect(await recovered(2)).toMatchObject({ state: 'done', rows: 14, error: null });
    expect(await recovered(3, { lane: 'enriched' })).toMatchObject({ state: 'done' });
    expect(did).toEqual(['enriched 3 true', 'other 3 true', 'enriched 3 true', 'other 3 true', 'enriched 3 false', 'other 3 false']);
    expect(stage.loads).toBe(0);
  }, 40_000);
});
