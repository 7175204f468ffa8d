import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { DestroyActivities } from '../../activities/destroy.ts';
import type { DestroyPlan, DestroyRequest, DestroyStatus, Item } from '../../core/destroy.ts';
import { services } from '../embedded/services.ts';
import { refused, RunningPipeline, Stage } from './stage.ts';

const place = { kind: 'results', table: 'results.t' } as const;
const item = (drop: Item['drop'], more: Partial<Item> = {}): Item => ({ drop, what: drop.kind === 'destination' ? drop.lane : drop.kind, isThere: true, byHand: `drop ${drop.kind}`, ...more });
const all: readonly Item[] = [item({ kind: 'slot' }), item({ kind: 'publication' }), item({ kind: 'destination', lane: 'rows', place }), item({ kind: 'state', paneTables: ['sluice.panes'] }), item({ kind: 'spool' })];

class Destroy implements AsyncDisposable {
  readonly done: string[] = [];
  plan: DestroyPlan = { workflows: ['pipeline/p'], items: all, untouched: [], destroyedAt: null };
  activities: Partial<DestroyActivities> = {};
  handle!: WorkflowHandle;
  #pipeline!: RunningPipeline;

  static async start(adjust: (destroy: Destroy) => void = () => {}, more: Partial<DestroyRequest> = {}): Promise<Destroy> {
    const destroy = new Destroy();
    adjust(destroy);
    const stage = new Stage();
    const did = <T>(what: string, answer: T) => (destroy.done.push(what), answer);
    stage.beside = {
      planDestroy: async () => did('plan', destroy.plan),
      beginDestroy: async () => did('begin', undefined),
      endWorkflows: async () => did('end', destroy.done.includes('end') ? [] : ['pipeline/p']),
      dropSlots: async () => did('slot', { wasThere: true }),
      dropPublication: async () => did('publication', { wasThere: true }),
      dropDestination: async ({ lane }) => did(lane, { wasThere: true }),
      dropState: async ({ paneTables }) => did(`state, ${paneTables.join()}`, { wasThere: true }),
      dropSpool: async () => did('spool', { wasThere: true }),
      finishDestroy: async () => did('finish', undefined),
      ...destroy.activities,
    };
    destroy.#pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    destroy.handle = await destroy.#pipeline.client.workflow.start('destroy', { workflowId: `destroy/${stage.name}`, taskQueue: stage.taskQueue, args: [{ pipeline: 'p', keepResults: false, ...more }] });
    return destroy;
  }

  result(): Promise<DestroyStatus> {
    return this.handle.result() as Promise<DestroyStatus>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.terminate('the test is over').catch(() => {});
    await this.#pipeline[Symbol.asyncDispose]();
  }
}

test('the source is let go of as soon as the workflows have ended; what was started meanwhile ends last', async () => {
  await using destroy = await Destroy.start();
  expect(await destroy.result()).toMatchObject({ state: 'done', left: [], dropped: ['workflow pipeline/p, which was ended', 'slot', 'publication', 'rows', 'state', 'spool'] });
  expect(destroy.done).toEqual(['plan', 'begin', 'end', 'slot', 'publication', 'rows', 'state, sluice.panes', 'spool', 'end', 'finish']);
});

test('what stays is not touched, and what was not there is not said to be dropped', async () => {
  await using destroy = await Destroy.start((each) => {
    each.plan = { ...each.plan, items: [item({ kind: 'slot' }, { isThere: false }), item({ kind: 'publication' }, { isThere: null }), item({ kind: 'destination', lane: 'rows', place }, { stays: 'it is to be kept' })] };
    each.activities = { dropSlots: async () => ({ wasThere: false }) };
  });
  expect((await destroy.result()).dropped).toEqual(['workflow pipeline/p, which was ended', 'publication']);
  expect(destroy.done).not.toContain('rows');
});

test('what cannot be dropped is left, named, and holds up nothing else', async () => {
  await using destroy = await Destroy.start((each) => {
    each.activities = { dropPublication: async () => Promise.reject(refused('must be owner of publication')), dropDestination: async () => ({ wasThere: true, stays: 'pipeline q has a fence for it' }) };
  });
  expect(await destroy.result()).toMatchObject({
    state: 'partly',
    left: [{ what: 'publication', why: 'must be owner of publication', byHand: 'drop publication' }, { what: 'rows', why: 'pipeline q has a fence for it', byHand: 'drop destination' }],
    dropped: ['workflow pipeline/p, which was ended', 'slot', 'state', 'spool'],
  });
});

test('without its rows being dropped it may not begin again', async () => {
  await using destroy = await Destroy.start((each) => (each.activities = { dropState: async () => Promise.reject(refused('permission denied')) }));
  expect(await destroy.result()).toMatchObject({ state: 'partly', left: [{ what: 'state' }] });
  expect(destroy.done.at(-1)).toBe('end');
});

test('a step that fails for a moment is tried again', async () => {
  let attempts = 0;
  await using destroy = await Destroy.start((each) => (each.activities = { dropSlots: async () => (attempts++ === 0 ? Promise.reject(new Error('connection refused')) : { wasThere: true }) }));
  expect(await destroy.result()).toMatchObject({ state: 'done' });
  expect(attempts).toBe(2);
});

test.each<[string, (each: Destroy) => void, Partial<DestroyRequest>]>([
  ['a dry run', () => {}, { dryRun: true }],
  ['nothing', (each) => (each.plan = { ...each.plan, workflows: [], items: all.map((one) => ({ ...one, isThere: false })) }), {}],
])('%s drops nothing, nor is it marked', async (_, adjust, more) => {
  await using destroy = await Destroy.start(adjust, more);
  expect(await destroy.result()).toMatchObject({ state: 'done', dropped: [] });
  expect(destroy.done).toEqual(['plan']);
});

test('what it cannot know refuses it, before anything is dropped', async () => {
  await using destroy = await Destroy.start((each) => (each.activities = { planDestroy: async () => Promise.reject(refused('There is no pipeline p.')) }));
  const error = await destroy.handle.result().then(() => undefined, (failure: unknown) => failure);
  expect((error as WorkflowFailedError).cause?.message).toBe('There is no pipeline p.');
  expect(await destroy.handle.query<DestroyStatus>('progress')).toMatchObject({ state: 'failed', dropped: [], error: 'There is no pipeline p.' });
  expect(destroy.done).toEqual([]);
});

test('cancelled between two steps it says what it has dropped', async () => {
  const [reached, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using destroy = await Destroy.start((each) => (each.activities = { dropPublication: async () => (reached.resolve(), go.promise.then(() => ({ wasThere: true }))) }));
  await reached.promise;
  await destroy.handle.cancel();
  go.resolve();
  await expect(destroy.handle.result()).rejects.toThrow(WorkflowFailedError);
  expect(await destroy.handle.query<DestroyStatus>('progress')).toMatchObject({ state: 'cancelled', dropped: expect.arrayContaining(['slot']) as string[] });
  expect(destroy.done).not.toContain('spool');
});
