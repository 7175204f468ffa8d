import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { expect, test, vi } from 'vitest';
import type { BackfillActivities, BackfillStepInput, BackfillStepResult } from '../../activities/backfill.ts';
import { statusOf } from '../../client/backfills.ts';
import { followed } from '../../client/follow.ts';
import { waitsForLane, type BackfillProgress, type BackfillRequest, type BackfillStatus } from '../../core/backfill.ts';
import { services } from '../embedded/services.ts';
import { refused, RunningPipeline, Stage, waited } from './stage.ts';

const request: BackfillRequest = { pipeline: 'p', fromMs: 0, toMs: 60_000, views: ['top'], sinks: [], chunkRows: 100, rowsPerSecond: null };

/** A backfill of purpose-made activities: a step ends by itself when it is let go, and says how often each was asked for. */
class Backfill implements AsyncDisposable {
  readonly steps: BackfillStepInput[] = [];
  ends = 0;
  handle!: WorkflowHandle;
  pipeline!: RunningPipeline;
  /** What a step says otherwise than by its number. */
  told: Partial<BackfillProgress> = {};
  /** How a step ends. */
  step: (input: BackfillStepInput, signal: AbortSignal) => Promise<BackfillStepResult['ended']> = async (_, signal) => {
    await waited(30_000, signal);
    return 'asked';
  };
  plan: () => void | Promise<void> = () => {};

  static async start(adjust: (backfill: Backfill) => void = () => {}, more: Partial<BackfillRequest> = {}): Promise<Backfill> {
    const backfill = new Backfill();
    adjust(backfill);
    const stage = new Stage();
    stage.beside = backfill.activities;
    backfill.pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    const { client } = backfill.pipeline;
    backfill.handle = await client.workflow.start('backfill', { workflowId: `backfill/${stage.name}`, taskQueue: stage.taskQueue, args: [{ ...request, pipeline: stage.name, ...more }] });
    return backfill;
  }

  get activities(): BackfillActivities {
    return {
      planBackfill: async ({ fromMs, toMs }) => {
        await this.plan();
        return { fromMs, toMs, windows: { top: 6 }, sinks: [], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' };
      },
      backfill: async (input) => {
        this.steps.push(input);
        const { cancellationSignal, heartbeat } = Context.current();
        const beat = setInterval(() => heartbeat({ phase: 'reading', fromMs: 0, toMs: 60_000, doneToMs: 0, rows: 0, ...this.told }), 100);
        const ended = await this.step(input, cancellationSignal).finally(() => clearInterval(beat));
        return { ended, progress: { phase: ended, fromMs: 0, toMs: 60_000, doneToMs: ended === 'done' ? 60_000 : 10_000 * this.steps.length, rows: 5, ...this.told } };
      },
      endBackfill: async () => void this.ends++,
    };
  }

  status(): Promise<BackfillStatus> {
    return this.handle.query<BackfillStatus>('progress');
  }

  async until(wanted: (status: BackfillStatus) => boolean): Promise<BackfillStatus> {
    for (const startedAt = performance.now(); ; await waited(20, new AbortController().signal)) {
      const status = await this.status();
      if (wanted(status)) return status;
      if (performance.now() - startedAt > 8_000) throw new Error(`not reached: ${JSON.stringify(status)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.terminate('the test is over').catch(() => {});
    await this.pipeline[Symbol.asyncDispose]();
  }
}

test('steps follow one another until it is done, and rows add up', async () => {
  await using backfill = await Backfill.start((each) => (each.step = async () => (each.steps.length < 3 ? 'time' : 'done')));
  expect(await backfill.handle.result()).toMatchObject({ state: 'done', error: null, progress: { doneToMs: 60_000, rows: 15 }, plan: { rows: 10 } });
  expect(backfill.steps.length).toBe(3);
  expect(backfill.ends).toBe(1);
});

test('paused it ends its step, and resumed it goes on; nothing is let go of between', async () => {
  await using backfill = await Backfill.start();
  await backfill.until(() => backfill.steps.length === 1);
  await backfill.handle.signal('pause');
  expect(await backfill.until(({ state, progress }) => state === 'paused' && progress !== null)).toMatchObject({ progress: { doneToMs: 10_000, phase: 'asked' } });
  expect(backfill.ends).toBe(0);
  backfill.step = async () => 'done';
  await backfill.handle.signal('resume');
  expect(await backfill.handle.result()).toMatchObject({ state: 'done' });
  expect(backfill.steps.length).toBe(2);
});

test.each(['signal', 'request'] as const)('cancelled by %s, its step ends, its panes are let go, and what was done is told', async (by) => {
  await using backfill = await Backfill.start();
  await backfill.until(() => backfill.steps.length === 1);
  if (by === 'signal') await backfill.handle.signal('cancel');
  else await backfill.handle.cancel();
  expect(await backfill.handle.result()).toMatchObject({ state: 'cancelled', progress: { doneToMs: 10_000 } });
  expect(backfill.ends).toBe(1);
});

test.each(['signal', 'request'] as const)('cancelled by %s while it plans, nothing is read', async (by) => {
  const [planning, planned] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using backfill = await Backfill.start((each) => (each.plan = () => (planning.resolve(), planned.promise)));
  await planning.promise;
  if (by === 'signal') await backfill.handle.signal('cancel');
  else await backfill.handle.cancel();
  planned.resolve();
  expect(await backfill.handle.result()).toMatchObject({ state: 'cancelled', progress: null });
  expect([backfill.steps.length, backfill.ends]).toEqual([0, 1]);
});

test('cancelled while it is paused it ends too', async () => {
  await using backfill = await Backfill.start();
  await backfill.until(() => backfill.steps.length === 1);
  await backfill.handle.signal('pause');
  await backfill.until(({ state }) => state === 'paused');
  await backfill.handle.signal('cancel');
  expect(await backfill.handle.result()).toMatchObject({ state: 'cancelled' });
  expect(backfill.ends).toBe(1);
});

test('another speed is taken over by the next step at once, and what is none is refused', async () => {
  await using backfill = await Backfill.start();
  await backfill.until(() => backfill.steps.length === 1);
  await expect(backfill.handle.executeUpdate<void, [number]>('setSpeed', { args: [-5] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('-5 is no speed') } });
  await backfill.handle.executeUpdate<void, [number]>('setSpeed', { args: [500] });
  await backfill.until(() => backfill.steps.length === 2);
  expect(backfill.steps.map((step) => step.request.rowsPerSecond)).toEqual([null, 500]);
});

test('a step that fails as it is asked to end is only cut short', async () => {
  await using backfill = await Backfill.start((each) => {
    each.step = async (_, signal) => {
      if (each.steps.length > 1) return 'done';
      await waited(30_000, signal);
      throw new Error('connection refused');
    };
  });
  await backfill.until(() => backfill.steps.length === 1);
  await backfill.handle.executeUpdate<void, [number]>('setSpeed', { args: [500] });
  expect(await backfill.handle.result()).toMatchObject({ state: 'done', error: null });
});

test('a step that fails for a moment is tried again; what a person must mend ends it with the sentence, and its panes are let go', async () => {
  let failures = 0;
  await using backfill = await Backfill.start((each) => {
    each.step = async () => {
      if (failures++ === 0) throw new Error('connection refused');
      throw refused('the pipeline is being loaded anew');
    };
  });
  const error = await backfill.handle.result().catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(WorkflowFailedError);
  expect((error as WorkflowFailedError).cause?.message).toBe('the pipeline is being loaded anew');
  expect(failures).toBe(2);
  expect(backfill.ends).toBe(1);
  expect(await backfill.status()).toMatchObject({ state: 'failed', error: 'the pipeline is being loaded anew' });
});

test('a range that is refused is so before anything is read; a dry run reads nothing', async () => {
  {
    await using backfill = await Backfill.start((each) => {
      each.plan = () => {
        throw refused('Ask for --to 10:00 or earlier.');
      };
    });
    await expect(backfill.handle.result()).rejects.toMatchObject({ cause: { message: 'Ask for --to 10:00 or earlier.' } });
    expect(backfill.steps).toEqual([]);
  }
  await using dry = await Backfill.start(() => {}, { dryRun: true });
  expect(await dry.handle.result()).toMatchObject({ plan: { windows: { top: 6 } }, progress: null });
  expect([dry.steps.length, dry.ends]).toEqual([0, 0]);
});

test('whoever stops looking at it asks for its end no more, and is told what it was last', async () => {
  await using backfill = await Backfill.start();
  await backfill.until(() => backfill.steps.length === 1);
  const asked = vi.spyOn(backfill.handle.client.workflowService, 'getWorkflowExecutionHistory');
  const left = new AbortController();
  const following = followed(backfill.handle, () => backfill.status(), () => left.abort(), left.signal);
  expect(await following).toMatchObject({ state: 'running' });
  await expect.poll(() => asked.mock.settledResults.map(({ type }) => type)).toEqual(['rejected']);
});

test('what a lane let wait goes on as soon as the lane does, though nothing was done; one that stands on lets it rest', async () => {
  await using backfill = await Backfill.start((each) => {
    each.told = { doneToMs: 0 };
    each.step = async () => (each.steps.length < 3 ? 'goes on' : 'time');
  });
  await backfill.until(({ progress }) => progress?.rows === 15);
  expect(backfill.steps.length).toBe(3);
});

test('while it waits for a lane of a paused pipeline it says so, and what to type', async () => {
  const told = { phase: waitsForLane('aggregate') };
  await using backfill = await Backfill.start((each) => {
    each.told = told;
    each.step = async (_, signal) => {
      if (each.steps.length === 1) return 'time';
      await waited(30_000, signal);
      return 'asked';
    };
  });
  const { pipeline, handle } = backfill;
  const phase = async () => (await statusOf(pipeline.client, handle)).progress?.phase;
  await backfill.until(() => backfill.steps.length === 2);
  await pipeline.until(({ state }) => state === 'running');
  expect(await phase()).toBe(told.phase);
  await pipeline.handle.signal('pause');
  await pipeline.until(({ state }) => state === 'paused');
  expect(await phase()).toBe(`${told.phase}; ${pipeline.stage.name} is paused: ./sluice resume ${pipeline.stage.name}`);
});
