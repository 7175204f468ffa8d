import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { BootstrapActivities } from '../../activities/bootstrap.ts';
import type { RedefineActivities } from '../../activities/redefine.ts';
import type { BootstrapRequest, BootstrapStatus, Comparison } from '../../core/bootstrap.ts';
import type { Finding } from '../../core/doctor.ts';
import { services } from '../embedded/services.ts';
import { plan } from './redefining.ts';
import { refused, RunningPipeline, Stage } from './stage.ts';

const fresh: Comparison = { worker: [], changes: [], isChanged: false, loaded: 'new', isRunning: false };
const wrong: Finding = { service: 'source', pipeline: 'p', state: 'wrong', found: 'Table public.t has no key.', mend: 'ALTER TABLE public.t ADD PRIMARY KEY (id);' };
const warning: Finding = { service: 'source', pipeline: 'p', state: 'warning', found: 'it is slow', mend: 'CREATE INDEX …;' };

/** An apply beside a pipeline that runs, of purpose-made activities. It starts a pipeline of another name, unless it is told that one's. */
class Apply implements AsyncDisposable {
  readonly asked: string[] = [];
  comparison: Comparison = fresh;
  comparing: () => Promise<void> = async () => {};
  findings: readonly Finding[] = [];
  stuck: readonly string[] = [];
  follow: BootstrapActivities['followStart'] = async () => ({ behind: null, rows: 1_234 });
  destroyed: 'done' | 'partly' = 'done';
  begin: RedefineActivities['beginRedefinition'] = async () => null;
  handle!: WorkflowHandle;
  pipeline!: RunningPipeline;
  name!: string;

  static async start(adjust: (apply: Apply) => void = () => {}, more: Partial<BootstrapRequest> = {}, which: 'running' | 'new' = 'new'): Promise<Apply> {
    const apply = new Apply();
    adjust(apply);
    const stage = new Stage();
    stage.beside = apply.#activities();
    apply.pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await apply.pipeline.until(() => stage.running.size === 4);
    apply.name = which === 'running' ? stage.name : `${stage.name}_new`;
    apply.handle = await apply.pipeline.client.workflow.start('bootstrap', { workflowId: `bootstrap/${apply.name}`, taskQueue: stage.taskQueue, args: [{ pipeline: apply.name, written: '{}', ...more }] });
    return apply;
  }

  #activities(): Stage['beside'] {
    const asked = <T>(what: string, answer: T) => (this.asked.push(what), answer);
    return {
      compareDefinition: async () => (await this.comparing(), asked('compare', this.comparison)),
      examine: async ({ asNew }) => asked(asNew ? 'examine as new' : 'examine', this.findings),
      reload: async () => asked('reload', this.stuck),
      followStart: async (input) => asked('follow', await this.follow(input)),
      beginRedefinition: (input) => this.begin(input),
      // whatever it was, it is complete
      readPlan: async () => ({ state: 'done', plan }),
      planDestroy: async () => asked('destroy', { workflows: [], items: [{ drop: { kind: 'slot' }, what: 'slot', isThere: true, byHand: 'by hand' }, { drop: { kind: 'state', paneTables: [] }, what: 'state', isThere: true, byHand: 'by hand' }], untouched: [], destroyedAt: null }),
      beginDestroy: async () => {},
      endWorkflows: async ({ spared }) => asked(`end, but not ${spared.map((id) => id.split('/')[0]).join()}`, []),
      dropState: async () => ({ wasThere: true }),
      finishDestroy: async () => void asked('may begin', undefined),
      dropSlots: async () => (this.destroyed === 'done' ? { wasThere: true } : Promise.reject(refused('it cannot be reached'))),
    };
  }

  status(): Promise<BootstrapStatus> {
    return this.handle.query<BootstrapStatus>('progress');
  }

  /** The message that it failed with. */
  async failure(): Promise<string> {
    const error = await this.handle.result().then(() => undefined, (failure: unknown) => failure);
    if (!(error instanceof WorkflowFailedError)) throw error ?? new Error('it did not fail');
    return error.cause!.message;
  }

  async state(): Promise<string> {
    return (await this.pipeline.client.workflow.getHandle(`pipeline/${this.name}`).describe().catch(() => undefined))?.status.name ?? 'none';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.terminate('the test is over').catch(() => {});
    await this.pipeline.client.workflow.getHandle(`pipeline/${this.name}`).terminate('the test is over').catch(() => {});
    await this.pipeline[Symbol.asyncDispose]();
  }
}

test('a new pipeline is examined, started, and followed; it goes on when the apply is over', async () => {
  await using apply = await Apply.start((each) => (each.findings = [warning]));
  const status = (await apply.handle.result()) as BootstrapStatus;
  expect(status).toMatchObject({ state: 'done', error: null, findings: [warning] });
  expect(status.said).toEqual([`nothing of ${apply.name} is loaded yet`, 'services and tables are as they must be, with warnings', `pipeline/${apply.name} was started`, 'its first load read at least 1,234 rows', 'it streams: what is written comes through to every destination']);
  expect(apply.asked).toEqual(['compare', 'examine', 'follow']);
  expect(await apply.state()).toBe('RUNNING');
  const { searchAttributes } = await apply.pipeline.client.workflow.getHandle(`pipeline/${apply.name}`).describe();
  expect(searchAttributes).toMatchObject({ SluicePipeline: [apply.name], SluiceKind: ['pipeline'] });
});

test('one that runs takes over settings and addresses, and tries again what was parked', async () => {
  await using apply = await Apply.start((each) => {
    each.comparison = { ...fresh, loaded: 'loaded', isRunning: true };
    each.stuck = ['enriched', 'pipeline'];
    each.follow = async () => ({ behind: 'enriched: connection refused', rows: null });
  }, {}, 'running');
  await apply.pipeline.handle.signal('pauseLane', 'enriched');
  const { said } = (await apply.handle.result()) as BootstrapStatus;
  expect(said.slice(2)).toEqual(['settings and addresses were taken over; enriched, pipeline was parked and tries again', 'it runs, and goes on trying, but does not stream yet: it waits for enriched: connection refused']);
  expect(apply.asked).toEqual(['compare', 'examine', 'reload', 'follow']);
  await apply.pipeline.until(({ lanes }) => lanes.every(({ state }) => state === 'running'));
});

test('E20: a lane that is detached once more while it is loaded is not loaded again by the same apply', async () => {
  const begun: unknown[] = [];
  let detachedAt = 'noon';
  await using apply = await Apply.start((each) => {
    each.comparison = { ...fresh, loaded: 'loaded', isRunning: true, detached: ['lane enriched was detached: it is filled from the source'], rejoins: { enriched: detachedAt } };
    each.begin = async ({ rejoins }) => {
      if (rejoins !== undefined && rejoins['enriched'] !== detachedAt) return null;
      detachedAt = 'one';
      return begun.push(rejoins);
    };
    each.follow = async () => Promise.reject(refused('p does not run: Lane enriched was detached at one'));
  }, {}, 'running');
  expect(await apply.failure()).toBe('p does not run: Lane enriched was detached at one');
  expect(begun).toEqual([{ enriched: 'noon' }]);
});

test('what is wrong ends it before anything is started', async () => {
  await using apply = await Apply.start((each) => (each.findings = [warning, wrong]));
  expect(await apply.failure()).toBe(`${apply.name} cannot run so:\n  source: Table public.t has no key.\n    mend: ALTER TABLE public.t ADD PRIMARY KEY (id);\nThen type ./sluice apply ${apply.name} again.`);
  expect(await apply.status()).toMatchObject({ state: 'failed', findings: [warning, wrong] });
  expect(await apply.state()).toBe('none');
});

test('a worker that has read another file is to start anew first', async () => {
  await using apply = await Apply.start((each) => (each.comparison = { ...fresh, worker: ['settings.lingerMs is 7, and was 50'] }));
  expect(await apply.failure()).toContain('  settings.lingerMs is 7, and was 50\n');
  expect(apply.asked).toEqual(['compare']);
});

test('another definition is refused, change by change, before the worker is asked to read it', async () => {
  const changed: Comparison = { ...fresh, worker: ['sinks.rows is new'], isChanged: true, changes: ['sinks.rows is new'], loaded: 'loaded' };
  await using apply = await Apply.start((each) => (each.comparison = changed));
  expect(await apply.failure()).toMatch(/is not what was loaded:\n {2}sinks\.rows is new\n.*--allow/s);
  expect(apply.asked).toEqual(['compare']);
});

test('allowed, what was loaded is destroyed, and the pipeline begins from nothing', async () => {
  await using apply = await Apply.start((each) => (each.comparison = { ...fresh, isChanged: true, loaded: 'loaded' }), { allow: true });
  const { said } = (await apply.handle.result()) as BootstrapStatus;
  expect(said).toContain('what was loaded of another definition was dropped');
  expect(apply.asked).toEqual(['compare', 'examine as new', 'destroy', 'end, but not destroy,destroy,bootstrap,reconcile', 'end, but not destroy,destroy,bootstrap,reconcile', 'may begin', 'follow']);
  expect(await apply.state()).toBe('RUNNING');
});

test('it does not begin when something is left', async () => {
  await using apply = await Apply.start((each) => {
    each.comparison = { ...fresh, isChanged: true };
    each.destroyed = 'partly';
  }, { allow: true });
  expect(await apply.failure()).toMatch(/LEFT:\n {2}slot: it cannot be reached/);
  expect(await apply.state()).toBe('none');
});

test('a dry run starts nothing', async () => {
  await using apply = await Apply.start(() => {}, { dryRun: true });
  expect(((await apply.handle.result()) as BootstrapStatus).said.at(-1)).toBe('its publication, slot and tables would be made, and its tables loaded');
  expect(apply.asked).toEqual(['compare', 'examine']);
  expect(await apply.state()).toBe('none');
});

test('cancelled before anything is started, nothing is', async () => {
  const [comparing, compared] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using apply = await Apply.start((each) => (each.comparing = () => (comparing.resolve(), compared.promise)));
  await comparing.promise;
  await apply.handle.cancel();
  compared.resolve();
  await expect(apply.handle.result()).rejects.toThrow(WorkflowFailedError);
  expect(await apply.status()).toMatchObject({ state: 'cancelled' });
  expect([apply.asked, await apply.state()]).toEqual([['compare'], 'none']);
});

test('why it does not run ends it; and cancelled it leaves the pipeline alone', async () => {
  await using parked = await Apply.start((each) => (each.follow = async () => Promise.reject(refused('p does not run: the table is gone'))));
  expect(await parked.failure()).toBe('p does not run: the table is gone');
  expect(await parked.state()).toBe('RUNNING');

  const following = Promise.withResolvers<void>();
  await using left = await Apply.start((each) => {
    each.follow = async () => {
      const { heartbeat, sleep } = Context.current();
      const beat = setInterval(() => heartbeat(), 100);
      following.resolve();
      await sleep(30_000).finally(() => clearInterval(beat));
      return { behind: null, rows: null };
    };
  });
  await following.promise;
  await left.handle.cancel();
  await expect(left.handle.result()).rejects.toThrow(WorkflowFailedError);
  expect(await left.status()).toMatchObject({ state: 'cancelled' });
  expect(await left.state()).toBe('RUNNING');
});
