import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { migrationWorkflowId } from '../../core/migration/schema-change.ts';
import { services } from '../embedded/services.ts';
import { decide, Migrating, stateOf } from './migrating.ts';
import { laneState, refused, RunningPipeline, waited } from './stage.ts';

const isMigrating = ({ capture }: { readonly capture: { readonly state: string } }) => capture.state === 'migrating';
const runs = ({ capture }: { readonly capture: { readonly state: string } }) => capture.state === 'running';

describe('a change of the source\'s columns', () => {
  test.each(['approve', 'reject'] as const)('waits for somebody while lanes go on, and %s lets the pipeline go on with what it is then', async (decision) => {
    const migrating = new Migrating();
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await pipeline.until(isMigrating);
    expect((await pipeline.status()).capture.error).toBe(`migration 1 of its source's columns is not over: ./sluice migrations ${migrating.stage.name}`);
    await stateOf(pipeline, 1, 'waiting');
    const before = migrating.stage.began.length;
    await pipeline.until(() => migrating.stage.began.slice(before).some(({ part }) => part === 'aggregate'));
    // what follows is kept meanwhile, and not while the pipeline is paused
    await pipeline.until(() => migrating.stage.running.has('capture'));
    expect(migrating.stage.began.filter(({ part }) => part === 'capture').length - migrating.kept.length).toBeLessThanOrEqual(2);
    // nobody gets it on its way by pausing and resuming the pipeline
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state }) => state === 'paused' && !migrating.stage.running.has('capture'));
    const whilePaused = migrating.kept.length;
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state, capture }) => state === 'running' && capture.state === 'migrating' && migrating.kept.length > whilePaused);
    expect(new Set(migrating.kept)).toEqual(new Set([1]));
    expect(migrating.did).toEqual([]);
    // who pauses the capture alone is still told what it waits for
    await pipeline.handle.signal('pauseLane', 'capture');
    await pipeline.until(({ capture }) => capture.state === 'paused' && capture.error === `migration 1 of its source's columns is not over: ./sluice migrations ${migrating.stage.name}`);
    await pipeline.handle.signal('resumeLane', 'capture');
    await pipeline.until(isMigrating);

    await decide(pipeline, 1, decision);
    await pipeline.until(runs);
    expect(migrating.did).toEqual([`sinks ${decision}`, `settled ${decision}`, `trimmed ${decision}`]);
    expect(migrating.told.get(1)).toBe('done');
    await stateOf(pipeline, 1, 'done');
    await expect(decide(pipeline, 1, decision)).rejects.toThrow(/completed|not found/);
  }, 40_000);

  test('goes by itself where nobody must be asked, and asks again when a sink refuses it', async () => {
    const migrating = new Migrating();
    migrating.verdict = 'automatic';
    let isRefused = true;
    migrating.changing = async () => {
      if (isRefused) throw refused('three rows do not fit');
    };
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 4;
    expect(await stateOf(pipeline, 4, 'waiting')).toMatchObject({ error: 'three rows do not fit', decision: 'approve' });
    isRefused = false;
    await decide(pipeline, 4, 'approve');
    await pipeline.until(runs);
    expect(migrating.did).toEqual(['sinks approve', 'sinks approve', 'settled approve', 'trimmed approve']);
  }, 40_000);

  test('a worker that dies while it changes sinks is noticed, and another one goes on', async () => {
    const migrating = new Migrating();
    let attempts = 0;
    const gone = Promise.withResolvers<void>();
    // without a heartbeat, as of a process that is gone
    migrating.changing = async () => {
      if (++attempts === 1) await gone.promise;
    };
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    await decide(pipeline, 1, 'approve');
    await pipeline.until(runs, 25_000);
    gone.resolve();
    expect(attempts).toBe(2);
    expect(migrating.did.at(-1)).toBe('trimmed approve');
  }, 40_000);

  test('that nobody can follow parks the pipeline with the reason; what cannot be done is refused', async () => {
    const migrating = new Migrating();
    migrating.verdict = 'impossible';
    migrating.possible = [];
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await pipeline.until(({ state, error }) => state === 'parked' && /cannot follow: public.t: column a was renamed to b/.test(error ?? ''));

    migrating.verdict = 'approval';
    migrating.possible = ['reject'];
    await pipeline.handle.signal('resumeLane', 'capture');
    await stateOf(pipeline, 1, 'waiting');
    const refusal: unknown = await decide(pipeline, 1, 'approve').catch((error: { cause?: unknown }) => error.cause);
    expect(refusal).toBeInstanceOf(ApplicationFailure);
    expect((refusal as Error).message).toMatch(/approve cannot be done.*\.\/sluice migrations/);
    await decide(pipeline, 1, 'reject');
    await pipeline.until(runs);
  }, 40_000);

  test.each(['planned', 'waiting', 'draining', 'changing'] as const)('cancelled while %s it has parked the pipeline, and resume asks again', async (stage) => {
    const migrating = new Migrating();
    const [blocked, hasBegun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const block = () => (hasBegun.resolve(), blocked.promise);
    if (stage === 'planned') migrating.planning = block;
    if (stage === 'draining') migrating.drained = blocked.promise;
    if (stage === 'changing') migrating.changing = block;
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 2;
    if (stage !== 'planned') await stateOf(pipeline, 2, 'waiting');
    if (stage === 'draining' || stage === 'changing') {
      await decide(pipeline, 2, 'approve');
      await stateOf(pipeline, 2, stage);
    }
    if (stage === 'planned' || stage === 'changing') await hasBegun.promise;
    await pipeline.client.workflow.getHandle(migrationWorkflowId(migrating.stage.name, 2)).cancel();
    blocked.resolve();
    await pipeline.until(({ capture }) => capture.state === 'parked');
    // tables may have what the new rows need; the pipeline is as it was
    expect(migrating.did).toEqual(stage === 'changing' ? ['sinks approve'] : []);
    expect((await pipeline.status()).capture.error).toContain(`./sluice resume ${migrating.stage.name} --lane capture`);
    expect(migrating.told.get(2)).toBe('cancelled');
    await pipeline.handle.signal('resumeLane', 'capture');
    await stateOf(pipeline, 2, 'waiting');
    await decide(pipeline, 2, 'approve');
    await pipeline.until(runs);
    expect(migrating.did.at(-1)).toBe('trimmed approve');
  }, 40_000);

  test.each(['settling', 'trimming'] as const)('cancelled while %s it is done all the same', async (stage) => {
    const migrating = new Migrating();
    const [blocked, hasBegun] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    migrating[stage] = () => (hasBegun.resolve(), blocked.promise);
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    await decide(pipeline, 1, 'approve');
    await hasBegun.promise;
    await pipeline.client.workflow.getHandle(migrationWorkflowId(migrating.stage.name, 1)).cancel();
    blocked.resolve();
    await pipeline.until(runs);
    expect(migrating.told.get(1)).toBe('done');
    expect(migrating.did.slice(0, 2)).toEqual(['sinks approve', 'settled approve']);
  }, 40_000);

  test('that somebody has ended for good is asked about again by resume', async () => {
    const migrating = new Migrating();
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    const handle = pipeline.client.workflow.getHandle(migrationWorkflowId(migrating.stage.name, 1));
    const { runId } = await handle.describe();
    await handle.terminate();
    await pipeline.handle.signal('resumeLane', 'capture');
    while ((await handle.describe()).runId === runId) await waited(50, new AbortController().signal);
    await stateOf(pipeline, 1, 'waiting');
    await decide(pipeline, 1, 'approve');
    await pipeline.until(runs);
  }, 40_000);

  test('lets a lane go on that was refused between, and the pipeline though a table keeps what no row has', async () => {
    const migrating = new Migrating();
    const { stage } = migrating;
    const step = stage.step;
    let isRefused = false;
    stage.step = async (input, part) => {
      if (isRefused && part === 'enriched') throw refused('the table lacks device');
      return step(input, part);
    };
    migrating.trimming = async () => {
      throw refused('no right to drop');
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    isRefused = true;
    await pipeline.until((status) => laneState(status, 'enriched') === 'parked');
    isRefused = false;
    await decide(pipeline, 1, 'approve');
    await pipeline.until((status) => runs(status) && laneState(status, 'enriched') === 'running');
    expect(await stateOf(pipeline, 1, 'done')).toMatchObject({ error: expect.stringMatching(/tables of sinks still have.*no right to drop/) as string });
  }, 40_000);

  test('parks the capture, and ends nothing else, if the pipeline cannot be described then', async () => {
    const migrating = new Migrating();
    const { stage } = migrating;
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    stage.answered = async () => {
      throw refused('its definition lacks a column');
    };
    await decide(pipeline, 1, 'approve');
    await pipeline.until(({ capture }) => capture.state === 'parked' && capture.error === 'its definition lacks a column');
    stage.answered = async () => {};
    await pipeline.handle.signal('resumeLane', 'capture');
    await pipeline.until(({ state, capture }) => state === 'running' && capture.state === 'running' && stage.began.length > 0);
    await pipeline.until(() => stage.running.has('capture'));
  }, 40_000);

  test('does not keep a load from being made that was asked for meanwhile', async () => {
    const migrating = new Migrating();
    const { stage } = migrating;
    stage.load = async () => void (stage.loaded = true);
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    stage.answered = () => (asked.resolve(), answer.promise);
    await decide(pipeline, 1, 'approve');
    await asked.promise;
    const anew = pipeline.handle.executeUpdate('loadAnew', { args: [1] });
    while (stage.loaded) await waited(20, new AbortController().signal);
    answer.resolve();
    await anew;
    await pipeline.until(({ state }) => state === 'running');
    expect(stage.loads).toBe(1);
  }, 40_000);

  test('keeps what follows of a paused pipeline only when its slot keeps too much', async () => {
    const migrating = new Migrating();
    const { stage } = migrating;
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress, { watchMs: 300 });
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state }) => state === 'paused' && !stage.running.has('capture'));
    const looked = stage.looks;
    await pipeline.until(() => stage.looks > looked + 1);
    expect(stage.running.has('capture')).toBe(false);
    stage.slotLag = { bytes: 2000, most: 1000 };
    await pipeline.until(({ notes }) => stage.running.has('capture') && notes.some((note) => note.includes('the capture goes on alone, into the spool')));
    expect(migrating.kept.at(-1)).toBe(1);
    await pipeline.handle.signal('resume');
    await decide(pipeline, 1, 'approve');
    await pipeline.until((status) => status.state === 'running' && runs(status));
  }, 40_000);

  test('keeps nothing of what follows while its capture is paused by its name, until that is resumed; decided meanwhile, it goes on as it was decided', async () => {
    const migrating = new Migrating();
    const { stage, kept } = migrating;
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    await pipeline.until(() => stage.running.has('capture') && kept.length > 0);
    for (const decides of [false, true]) {
      await pipeline.handle.signal('pauseLane', 'capture');
      await pipeline.until(({ capture }) => capture.state === 'paused' && !stage.running.has('capture'));
      const [steps, before] = [stage.began.length, kept.length];
      await pipeline.until(() => stage.began.slice(steps).filter(({ part }) => part === 'aggregate').length > 2);
      if (decides) {
        await decide(pipeline, 1, 'approve');
        await stateOf(pipeline, 1, 'done');
      }
      expect([(await pipeline.status()).capture.state, kept.length]).toEqual(['paused', before]);
      await pipeline.handle.signal('resumeLane', 'capture');
      await pipeline.until((status) => (decides ? runs(status) && stage.running.has('capture') : isMigrating(status) && kept.length > before));
    }
    expect(kept.every((number) => number === 1)).toBe(true);
  }, 40_000);

  test('outlives runs of the pipeline\'s workflow', async () => {
    const migrating = new Migrating();
    await using pipeline = await RunningPipeline.start(migrating.stage, services().temporalAddress, { rotateAtEvents: 120 });
    await pipeline.until(runs);
    migrating.change = 1;
    await stateOf(pipeline, 1, 'waiting');
    const first = (await pipeline.handle.describe()).runId;
    for (const startedAt = performance.now(); (await pipeline.handle.describe()).runId === first; await waited(100, new AbortController().signal)) if (performance.now() - startedAt > 20_000) throw new Error('no fresh run');
    await pipeline.until(isMigrating);
    await decide(pipeline, 1, 'approve');
    await pipeline.until(runs);
  }, 60_000);
});
