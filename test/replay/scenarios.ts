import { Context } from '@temporalio/activity';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { BackfillStatus } from '../../core/backfill.ts';
import type { Compared } from '../../core/reconcile.ts';
import type { RedefineStatus } from '../../core/redefine.ts';
import { notComparable, notLetGo } from '../../core/verification.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import { migrationWorkflowId } from '../../core/migration/schema-change.ts';
import { decide, Migrating, stateOf } from '../orchestration/migrating.ts';
import { Redefining, start as startRedefine, untilPhase } from '../orchestration/redefining.ts';
import { at, laneState, lanes, refused, RunningPipeline, Stage, waited } from '../orchestration/stage.ts';

/** What a recorded history contains. Each returns the run ids whose histories are kept. */
export type Scenario = (address: string) => Promise<readonly unknown[]>;

export const scenarios: Readonly<Record<string, Scenario>> = { 'pause-and-lanes': pauseAndLanes, 'first-load-and-failures': firstLoadAndFailures, 'hold-drain-reload': holdDrainReload, 'drain-in-a-hold': drainInAHold, 'fresh-run': freshRun, 'told-steps': toldSteps, 'stopped-capture': stoppedCapture, 'named-hold': namedHold, 'paused-slot': pausedSlot, 'dead-letters-replayed': deadLettersReplayed, compared, backfilled, repaired, 'behind-backfill': behindBackfill, reconciled, migrated, 'kept-while-waiting': keptWhileWaiting, 'paused-while-waiting': pausedWhileWaiting, 'loaded-anew': loadedAnew, rewritten, applied, destroyed, redefined, 'behind-fill': behindFill, 'applied-in-place': appliedInPlace };

async function pauseAndLanes(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.began.length > 10);
  await pipeline.handle.signal('pauseLane', 'enriched');
  await pipeline.until((status) => laneState(status, 'enriched') === 'paused');
  await pipeline.handle.signal('pauseLane', 'nowhere');
  await pipeline.handle.signal('pause');
  await pipeline.until(({ state }) => state === 'paused');
  await pipeline.handle.signal('resume');
  await pipeline.handle.signal('resumeLane', 'enriched');
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  return [await pipeline.handle.fetchHistory()];
}

async function firstLoadAndFailures(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  stage.loaded = false;
  const troubles = new Map<string, () => never>([
    ['capture', () => { throw refused('the source has wal_level = replica'); }],
    ['enriched', () => { throw refused('the table was dropped'); }],
    ['board', () => { throw new Error('connection refused'); }],
  ]);
  stage.step = async (input, part) => {
    troubles.get(part)?.();
    return stage.plainStep(input, part);
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until((status) => status.state === 'parked' && laneState(status, 'enriched') === 'parked');
  troubles.clear();
  await pipeline.handle.signal('resume');
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4, 15_000);
  return [await pipeline.handle.fetchHistory()];
}

async function holdDrainReload(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'capture' ? { fence: at(300) } : {}) });
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.running.size === 4);
  stage.lsn = 200;
  await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 20_000 }] });
  await pipeline.handle.signal('releaseHold');
  await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(250), timeoutMs: 700 }] });
  stage.stepMs = 700;
  await pipeline.handle.executeUpdate('reload');
  await pipeline.until(() => stage.running.size === 4);
  stage.lsn = 300;
  await pipeline.handle.executeUpdate('drain');
  await pipeline.until(({ state }) => state === 'paused');
  return [await pipeline.handle.fetchHistory()];
}

/** Release 0.1.0 kept lanes held beyond the hold that a drain took the place of, until they were paused and resumed by name. */
async function drainInAHold(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  stage.lsn = 200;
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.running.size === 4);
  await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 20_000 }] });
  await pipeline.handle.executeUpdate('drain');
  await pipeline.until(({ state }) => state === 'paused');
  await pipeline.handle.signal('resume');
  await pipeline.handle.signal('resumeLane', 'enriched');
  await pipeline.until(({ state }) => state === 'running' && stage.running.has('capture'));
  for (const { name } of lanes) {
    await pipeline.handle.signal('pauseLane', name);
    await pipeline.handle.signal('resumeLane', name);
  }
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  return [await pipeline.handle.fetchHistory()];
}

/** Both runs: the one that ends, and the one that begins with its memory, a hold included. */
async function freshRun(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  await using pipeline = await RunningPipeline.start(stage, address, { rotateAtEvents: 60 });
  await pipeline.until(() => stage.running.size === 4);
  const { runId } = await pipeline.handle.describe();
  stage.lsn = 200;
  await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), lanes: ['enriched'], timeoutMs: 30_000 }] });
  while ((await pipeline.handle.describe()).runId === runId) await waited(50, new AbortController().signal);
  await pipeline.until((status) => laneState(status, 'enriched') === 'held' && stage.running.size === 3);
  await pipeline.handle.signal('releaseHold');
  await pipeline.until(() => stage.running.size === 4);
  const first = await pipeline.client.workflow.getHandle(pipeline.handle.workflowId, runId).fetchHistory();
  return [first, await pipeline.handle.fetchHistory()];
}

/** Both runs again: the capture is stopped in the one, and told to go on in the other. Then a drain. */
async function stoppedCapture(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  await using pipeline = await RunningPipeline.start(stage, address, { rotateAtEvents: 60 });
  await pipeline.until(() => stage.running.size === 4);
  const { runId } = await pipeline.handle.describe();
  await pipeline.handle.executeUpdate<void, [object]>('stopCapture', { args: [{ timeoutMs: 30_000 }] });
  while ((await pipeline.handle.describe()).runId === runId) await waited(50, new AbortController().signal);
  await pipeline.until(({ capture }) => capture.state === 'held' && stage.running.size === 3);
  const held = pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 30_000 }] });
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.size === 4);
  stage.lsn = 200;
  await held;
  await pipeline.handle.signal('releaseHold');
  await pipeline.handle.executeUpdate('drain');
  await pipeline.until(({ state }) => state === 'paused');
  const first = await pipeline.client.workflow.getHandle(pipeline.handle.workflowId, runId).fetchHistory();
  return [first, await pipeline.handle.fetchHistory()];
}

/** A hold that a release of another leaves alone, and one that was released before. Then a comparison whose attempts all let nothing go. */
async function namedHold(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  await using pipeline = await RunningPipeline.start(stage, address);
  const { handle } = pipeline;
  const hold = (id: string) => handle.executeUpdate<void, [object]>('stopCapture', { args: [{ id, timeoutMs: 30_000 }] });
  await pipeline.until(() => stage.running.size === 4);
  await hold('one/1');
  await handle.signal('releaseHold', 'two/1');
  const held = handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ id: 'one/1', position: at(200), timeoutMs: 30_000 }] });
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.size === 4);
  stage.lsn = 200;
  await held;
  await handle.signal('releaseHold', 'one/1');
  await hold('two/1').catch(() => {});
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.size === 4);
  const other = quick();
  other.beside = { verify: async () => Promise.reject(ApplicationFailure.create({ message: 'it could not be told to go on', type: notLetGo })) };
  return [await handle.fetchHistory(), ...(await beside(address, other, 'verify', [{ name: other.name }]))];
}

/** Both runs once more, with heartbeats so rare that steps are told to stop: one after another, all together, and by a drain. */
async function toldSteps(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  stage.heartbeatMs = 1_100;
  stage.loaded = false;
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'capture' ? { fence: at(100) } : {}) });
  await using pipeline = await RunningPipeline.start(stage, address, { rotateAtEvents: 60 });
  await pipeline.until(() => stage.running.size === 4);
  const { runId } = await pipeline.handle.describe();
  await pipeline.handle.signal('pauseLane', 'enriched');
  await pipeline.until((status) => laneState(status, 'enriched') === 'paused');
  await pipeline.handle.signal('resumeLane', 'enriched');
  while ((await pipeline.handle.describe()).runId === runId) await waited(50, new AbortController().signal);
  await pipeline.until(() => stage.running.size === 4);
  await pipeline.handle.signal('pause');
  await pipeline.until(({ state }) => state === 'paused');
  await pipeline.handle.signal('resume');
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  await pipeline.handle.executeUpdate('drain');
  await pipeline.until(({ state }) => state === 'paused');
  const first = await pipeline.client.workflow.getHandle(pipeline.handle.workflowId, runId).fetchHistory();
  return [first, await pipeline.handle.fetchHistory()];
}

/** A change of the source's columns that a sink refuses at first, and the pipeline's own run. */
async function migrated(address: string): Promise<readonly unknown[]> {
  const migrating = new Migrating();
  let isRefused = true;
  migrating.changing = async () => {
    if (isRefused) throw refused('three rows do not fit');
  };
  await using pipeline = await RunningPipeline.start(migrating.stage, address);
  await pipeline.until(({ capture }) => capture.state === 'running');
  migrating.change = 1;
  await stateOf(pipeline, 1, 'waiting');
  await decide(pipeline, 1, 'approve');
  await pipeline.until(() => migrating.did.length === 1);
  await stateOf(pipeline, 1, 'waiting');
  isRefused = false;
  await decide(pipeline, 1, 'reject');
  await pipeline.until(({ capture }) => capture.state === 'running');
  return [await pipeline.client.workflow.getHandle(migrationWorkflowId(migrating.stage.name, 1)).fetchHistory(), await pipeline.handle.fetchHistory()];
}

/** What follows a change is kept while nobody decides; a pause ends that, and whoever asks again. */
async function keptWhileWaiting(address: string): Promise<readonly unknown[]> {
  const migrating = new Migrating();
  const { stage, kept } = migrating;
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(({ capture }) => capture.state === 'running');
  migrating.change = 1;
  await stateOf(pipeline, 1, 'waiting');
  await pipeline.until(() => kept.length === 1);
  await pipeline.handle.signal('pause');
  await pipeline.until(({ state }) => state === 'paused' && !stage.running.has('capture'));
  await pipeline.handle.signal('resume');
  await pipeline.until(() => kept.length === 2);
  await pipeline.handle.signal('resumeLane', 'capture');
  await pipeline.until(() => kept.length === 3);
  await decide(pipeline, 1, 'approve');
  await pipeline.until(({ capture }) => capture.state === 'running');
  return [await pipeline.handle.fetchHistory()];
}

/** A capture that is paused by its name keeps nothing of what follows a change; the second time that is decided meanwhile. */
async function pausedWhileWaiting(address: string): Promise<readonly unknown[]> {
  const migrating = new Migrating();
  const { stage, kept } = migrating;
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(({ capture }) => capture.state === 'running');
  migrating.change = 1;
  await stateOf(pipeline, 1, 'waiting');
  await pipeline.until(() => kept.length === 1);
  await pipeline.handle.signal('pauseLane', 'capture');
  await pipeline.until(({ capture }) => capture.state === 'paused' && !stage.running.has('capture'));
  await pipeline.handle.signal('resumeLane', 'capture');
  await pipeline.until(() => kept.length === 2);
  await pipeline.handle.signal('pauseLane', 'capture');
  await pipeline.until(({ capture }) => capture.state === 'paused' && !stage.running.has('capture'));
  await decide(pipeline, 1, 'approve');
  await stateOf(pipeline, 1, 'done');
  await pipeline.handle.signal('resumeLane', 'capture');
  await pipeline.until(({ capture }) => capture.state === 'running' && stage.running.has('capture'));
  return [await pipeline.handle.fetchHistory()];
}

/** Parked for good, and begun again with a load, which a recovery asked for. */
async function loadedAnew(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let isLost = true;
  stage.step = async (input, part) => {
    if (part === 'capture' && isLost) throw refused('the slot is gone');
    return stage.plainStep(input, part);
  };
  stage.load = async () => void ([isLost, stage.loaded] = [false, true]);
  stage.beside = { planRecovery: async () => ({ gap: 'the slot is gone', rows: 7, says: [] }), beginAnew: async () => 1, untilLoaded: async () => {} };
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(({ state }) => state === 'parked');
  const { runId } = await pipeline.handle.describe();
  const recovery = await pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}/1`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: false }] });
  await recovery.executeUpdate('approve');
  await recovery.result();
  await pipeline.handle.executeUpdate('loadAnew', { args: [1] });
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  return [await recovery.fetchHistory(), await pipeline.client.workflow.getHandle(pipeline.handle.workflowId, runId).fetchHistory(), await pipeline.handle.fetchHistory()];
}

/** Destinations that lacked rows: one that was refused at first, and one that was asked for. */
async function rewritten(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let isRefused = true;
  stage.beside = {
    planRecovery: async ({ lane }) => ({ epoch: 1, gap: lane === undefined ? 'enriched has no fence' : null, lanes: ['enriched'], rows: 7, says: [] }),
    rewriteLane: async () => {
      if (isRefused) throw refused('it refuses a value');
      return { rows: 7 };
    },
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  const histories: unknown[] = [];
  for (const [id, lane] of [undefined, undefined, 'enriched'].entries()) {
    const recovery = await pipeline.client.workflow.start('recovery', { workflowId: `recovery/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, approved: false, ...(lane !== undefined && { lane }) }] });
    await recovery.executeUpdate('approve');
    await recovery.result();
    histories.push(await recovery.fetchHistory());
    isRefused = false;
  }
  return histories;
}

function quick(): Stage {
  const stage = new Stage();
  stage.stepMs = 500;
  return stage;
}

async function pausedSlot(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  await using pipeline = await RunningPipeline.start(stage, address, { watchMs: 300 });
  await pipeline.until(() => stage.running.size === 4);
  await pipeline.handle.signal('pause');
  await pipeline.until(() => stage.looks > 1);
  stage.slotLag = { bytes: 2, most: 1 };
  await pipeline.until(({ state, capture }) => state === 'paused' && capture.state === 'running');
  await pipeline.handle.signal('resume');
  await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  return [await pipeline.handle.fetchHistory()];
}

/** Two lanes have letters; the first attempt at the second lane's fails, and one of its letters waits on. Then a replay that stops. */
async function deadLettersReplayed(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let attempts = 0;
  stage.beside = {
    lanesToReplay: async ({ lane }) => (lane === undefined ? ['aggregate', 'enriched'] : [lane]),
    replay: async ({ lane, id }) => {
      if (id !== undefined) throw refused('the table was dropped');
      if (lane === 'enriched' && attempts++ === 0) throw new Error('connection refused');
      return { replayed: 2, waiting: lane === 'enriched' ? 1 : 0, first: lane === 'enriched' ? [7] : [] };
    },
  };
  return beside(address, stage, 'replay', [{ pipeline: stage.name }, { pipeline: stage.name, lane: 'enriched', id: 7 }]);
}

/** One comparison that finds a difference, and one that cannot be made. */
async function compared(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  const digest = { rows: 1, checksum: '1' };
  const unequal = { sink: 'enriched', what: 'rows', expected: digest, actual: { rows: 0, checksum: '0' }, equal: false, differences: [{ kind: 'missing', key: { id: '1' } }] } as const;
  stage.beside = {
    verify: async ({ pipeline, reachMs }) => {
      if (reachMs === 1) throw ApplicationFailure.nonRetryable('lane enriched is parked', notComparable);
      return { pipeline, position: at(100), equal: false, checks: [unequal] };
    },
  };
  return beside(address, stage, 'verify', [{ name: stage.name }, { name: stage.name, reachMs: 1 }]);
}

/** One that is paused, slowed down, fails once and comes to its end; one that is cancelled; one that is refused; and a dry run. */
async function backfilled(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let steps = 0;
  stage.beside = {
    planBackfill: async ({ fromMs, toMs, chunkRows }) => {
      if (chunkRows === 1) throw refused('windows are still open there');
      return { fromMs, toMs, windows: { top: 6 }, sinks: ['enriched'], rows: 10, hasIndex: false, relation: 'public.t', eventTime: 'at' };
    },
    backfill: async ({ request }) => {
      const step = ++steps;
      if (step === 2) throw new Error('connection refused');
      const { cancellationSignal, heartbeat } = Context.current();
      const beat = setInterval(() => heartbeat(), 100);
      if (step === 1 || request.rowsPerSecond === null) await waited(20_000, cancellationSignal).finally(() => clearInterval(beat));
      clearInterval(beat);
      const ended = cancellationSignal.aborted ? 'asked' : step < 5 ? 'time' : 'done';
      return { ended, progress: { phase: ended, fromMs: 0, toMs: 60_000, doneToMs: 10_000, rows: 5 } };
    },
    endBackfill: async () => {},
  };
  const request = { pipeline: stage.name, fromMs: 0, toMs: 60_000, views: ['top'], sinks: ['enriched'], chunkRows: 100, rowsPerSecond: null };
  await using pipeline = await RunningPipeline.start(stage, address);
  const start = (id: string, more: object = {}) => pipeline.client.workflow.start('backfill', { workflowId: `backfill/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ ...request, ...more }] });
  const until = async (wanted: () => boolean) => {
    while (!wanted()) await waited(20, new AbortController().signal);
  };
  const done = await start('done');
  await until(() => steps === 1);
  await done.signal('pause');
  await done.executeUpdate<void, [number]>('setSpeed', { args: [500] });
  await done.signal('resume');
  await done.result();
  const [cancelled, before] = [await start('cancelled'), steps];
  await until(() => steps > before);
  await cancelled.signal('cancel');
  await cancelled.result();
  const refusedOne = await start('refused', { chunkRows: 1 });
  await refusedOne.result().catch(() => {});
  const dry = await start('dry', { dryRun: true });
  await dry.result();
  return Promise.all([done, cancelled, refusedOne, dry].map((handle) => handle.fetchHistory()));
}

/** A pipeline whose late changes are repaired over a change of runs, and the repairs: one of nothing, and one that is refused a range. */
async function repaired(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let [late, looks] = [0, 0];
  stage.repairAfterMs = 1_000;
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'aggregate' ? { late } : {}) });
  const stale = (minute: number, view: string) => ({ fromMs: minute * 60_000, toMs: (minute + 1) * 60_000, views: [view] });
  stage.beside = {
    staleWindows: async () => ({ ranges: ++looks === 2 ? [stale(1, 'top'), stale(3, 'refused')] : [], hasIndex: true }),
    planBackfill: async ({ fromMs, toMs, views }) => {
      if (views[0] === 'refused') throw refused('windows are still open there');
      return { fromMs, toMs, windows: { top: 6 }, sinks: [], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' };
    },
    backfill: async ({ request: { fromMs, toMs } }) => ({ ended: 'done', progress: { phase: 'done', fromMs, toMs, doneToMs: toMs, rows: 5 } }),
    endBackfill: async () => {},
  };
  await using pipeline = await RunningPipeline.start(stage, address, { rotateAtEvents: 60 });
  const { client } = pipeline;
  const [first, repair] = [(await pipeline.handle.describe()).runId, `repair/${stage.name}`];
  const until = async (wanted: () => boolean | Promise<boolean>) => {
    while (!(await wanted())) await waited(20, new AbortController().signal);
  };
  await until(() => looks === 1);
  late = 2;
  await until(() => looks >= 2);
  late = 0;
  await until(async () => (await pipeline.handle.describe()).runId !== first);
  await until(() => looks >= 3);
  const runs: string[] = [];
  for await (const { runId, closeTime } of client.workflow.list({ query: `WorkflowId = '${repair}'` })) if (closeTime) runs.push(runId);
  return Promise.all([client.workflow.getHandle(`pipeline/${stage.name}`, first), ...runs.slice(-2).map((runId) => client.workflow.getHandle(repair, runId))].map((handle) => handle.fetchHistory()));
}

/** One whose lane does not follow: it rests before its next step, and is cancelled there. */
async function behindBackfill(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  let steps = 0;
  stage.beside = {
    planBackfill: async ({ fromMs, toMs }) => ({ fromMs, toMs, windows: { top: 6 }, sinks: [], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' }),
    backfill: async ({ request: { fromMs, toMs } }) => ({ ended: 'time', progress: { phase: 'waiting', fromMs, toMs, doneToMs: ++steps === 1 ? 10_000 : 20_000, rows: 5 } }),
    endBackfill: async () => {},
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  const request = { pipeline: stage.name, fromMs: 0, toMs: 60_000, views: ['top'], sinks: [], chunkRows: 100, rowsPerSecond: null };
  const handle = await pipeline.client.workflow.start('backfill', { workflowId: `backfill/${stage.name}`, taskQueue: stage.taskQueue, args: [request] });
  while ((await handle.query<BackfillStatus>('progress')).progress?.rows !== 15) await waited(20, new AbortController().signal);
  await handle.signal('cancel');
  await handle.result();
  return [await handle.fetchHistory()];
}

/** One of two steps, the first of which fails once, that repairs what it has found; one that is due, and finds nothing; one that is refused; one that is cancelled; and a window that is explained. */
async function reconciled(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  const range = { fromMs: 0, toMs: 600_000 };
  const rows: Compared = { sink: 'enriched', what: 'rows', windows: 60, different: 0, differing: [], differences: [], mend: { tag: 'rows' } };
  const differing: Compared = { ...rows, different: 1, differing: [{ fromMs: 60_000, toMs: 120_000 }], differences: [{ kind: 'extra', key: { id: '7' }, actual: {} }] };
  let steps = 0;
  stage.beside = {
    planReconcile: async ({ request }) => {
      if (request.range?.toMs === 1) throw refused('windows are still open there');
      return { ranges: [range], due: request.range ? null : { fresh: range, older: { fromMs: -60_000, toMs: 0 } }, withNow: !request.range };
    },
    reconcile: async ({ from, rowsPerSecond }) => {
      const step = ++steps;
      if (step === 1) throw new Error('connection refused');
      const { cancellationSignal, heartbeat } = Context.current();
      const beat = setInterval(() => heartbeat(), 100);
      if (rowsPerSecond === 1) await waited(20_000, cancellationSignal);
      clearInterval(beat);
      if (cancellationSignal.aborted) return { ...from, compared: [rows] };
      if (step === 2) return { ...from, left: [{ fromMs: 300_000, toMs: 600_000 }], compared: [rows], rows: 5 };
      return { left: [], compared: [step === 3 ? differing : rows], rows: 10, isNowDone: true, problem: null };
    },
    mendWindows: async ({ differing: again }) => ({ again, failed: [] }),
    endReconcile: async () => {},
    planBackfill: async ({ fromMs, toMs }) => ({ fromMs, toMs, windows: {}, sinks: ['enriched'], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' }),
    backfill: async ({ request: { fromMs, toMs } }) => ({ ended: 'done', progress: { phase: 'done', fromMs, toMs, doneToMs: toMs, rows: 5 } }),
    endBackfill: async () => {},
    explainWindow: async ({ pipeline, view }) => ({ pipeline, view, fromMs: 0, toMs: 60_000, source: { rows: 1, counted: { keys: '1' }, first: [] }, sinks: [], compared: [differing] }),
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  const start = (type: 'reconcile' | 'explain', id: string, input: object) => pipeline.client.workflow.start(type, { workflowId: `${type}/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, ...input }] });
  const request = { everyMs: 3_600_000, repair: false, rowsPerSecond: null };
  const handles = [await start('reconcile', 'repaired', { ...request, range, repair: true })];
  await handles[0]!.result();
  handles.push(await start('reconcile', 'due', request));
  await handles[1]!.result();
  handles.push(await start('reconcile', 'refused', { ...request, range: { fromMs: 0, toMs: 1 } }));
  await handles[2]!.result().catch(() => {});
  const [before, goesOn] = [steps, () => steps > before];
  handles.push(await start('reconcile', 'cancelled', { ...request, range, repair: true, rowsPerSecond: 1 }));
  while (!goesOn()) await waited(20, new AbortController().signal);
  await handles[3]!.cancel();
  await handles[3]!.result();
  handles.push(await start('explain', 'window', { atMs: 60_000, view: 'top' }));
  await handles[4]!.result();
  return Promise.all(handles.map((handle) => handle.fetchHistory()));
}

/** One of a pipeline that runs and has a lane parked, one that starts a new one, one that destroys what was loaded first, and one that is refused. */
async function applied(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  const nothing = { worker: [], changes: [], isChanged: false, loaded: 'new' as const, isRunning: false };
  stage.beside = {
    ...dropping(),
    compareDefinition: async ({ written }) => (written === 'refused' ? { ...nothing, worker: ['settings.lingerMs is 7, and was 50'] } : { ...nothing, isChanged: written === 'changed' }),
    examine: async () => [{ service: 'source', pipeline: null, state: 'warning', found: 'it is slow', mend: 'CREATE INDEX …;' }],
    reload: async () => ['enriched', 'pipeline'],
    followStart: async () => ({ behind: null, rows: 3 }),
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.running.size === 4);
  const { client } = pipeline;
  const histories: unknown[] = [];
  for (const [name, written] of [[stage.name, ''], [`${stage.name}_new`, ''], [`${stage.name}_other`, 'changed'], [`${stage.name}_not`, 'refused']] as const) {
    const handle = await client.workflow.start('bootstrap', { workflowId: `bootstrap/${name}`, taskQueue: stage.taskQueue, args: [{ pipeline: name, written, allow: true }] });
    await handle.result().catch(unlessFailed);
    await client.workflow.getHandle(`pipeline/${name}`).terminate().catch(() => {});
    histories.push(await handle.fetchHistory());
  }
  return histories;
}

/** One that becomes another, is filled in two steps and gets a lane, with its pipeline's runs; one that is refused, one that is cancelled, and one that goes on. */
async function redefined(address: string): Promise<readonly unknown[]> {
  const redefining = new Redefining();
  const { stage } = redefining;
  stage.stepMs = 300;
  const ends = ['time', 'done', 'asked'] as const;
  let fills = 0;
  redefining.filled = async () => ({ ended: ends[Math.min(fills++, 1)]!, rows: 5, text: '' });
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.running.size === 4);
  const runs = [(await pipeline.handle.describe()).runId];
  const handles = [await startRedefine(pipeline)];
  await handles[0]!.result();
  await pipeline.until((status) => laneState(status, 'copy') === 'running' && stage.running.size === 5);
  redefining.state = 'planned';
  redefining.preparing = async () => {
    throw refused('the table is sorted by something else');
  };
  handles.push(await startRedefine(pipeline, 2));
  await handles[1]!.result().catch(unlessFailed);
  redefining.state = 'planned';
  const preparing = Promise.withResolvers<void>();
  redefining.preparing = () => preparing.promise;
  handles.push(await startRedefine(pipeline, 3));
  await untilPhase(pipeline, 'makes what', 3);
  await handles[2]!.cancel();
  preparing.resolve();
  await handles[2]!.result().catch(unlessFailed);
  redefining.state = 'filling';
  redefining.plan = { ...redefining.plan, again: [], loads: [], lives: [], ended: ['old'], drops: { old: { kind: 'results', table: 'results.old' } } };
  handles.push(await startRedefine(pipeline, 4));
  await handles[3]!.result();
  return [await pipeline.client.workflow.getHandle(`pipeline/${stage.name}`, runs[0]).fetchHistory(), await pipeline.handle.fetchHistory(), ...(await Promise.all(handles.map((handle) => handle.fetchHistory())))];
}

/** One whose panes come nowhere, as a lane does not follow: it goes on with the lane, rests when that stands on, and is cancelled there. */
async function behindFill(address: string): Promise<readonly unknown[]> {
  const redefining = new Redefining();
  redefining.state = 'filling';
  let fills = 0;
  redefining.filled = async () => ({ ended: ++fills < 2 ? 'goes on' : 'time', isFurther: fills === 2, rows: 5, text: '' });
  await using pipeline = await RunningPipeline.start(redefining.stage, address);
  const handle = await startRedefine(pipeline);
  while ((await handle.query<RedefineStatus>('progress')).rows !== 15) await waited(20, new AbortController().signal);
  await handle.cancel();
  await handle.result().catch(unlessFailed);
  return [await handle.fetchHistory()];
}

/** One that changes what runs in place; one that is refused, as it would lose something; one that only says so; one that finds another at work. */
async function appliedInPlace(address: string): Promise<readonly unknown[]> {
  const redefining = new Redefining();
  const { stage } = redefining;
  stage.stepMs = 400;
  let [number, filling]: [number | null, number | undefined] = [1, undefined];
  const running = { worker: [], changes: [], isChanged: false, loaded: 'loaded' as const, isRunning: true };
  stage.beside = {
    ...stage.beside,
    compareDefinition: async ({ written }) => ({ ...running, ...(filling === undefined ? {} : { filling }), redefine: { ...redefining.plan, loses: written === 'loses' ? ['sink old ends'] : [] } }),
    examine: async () => [],
    reload: async () => [],
    followStart: async () => ({ behind: null, rows: null }),
    beginRedefinition: async () => {
      const now = number;
      number = null;
      return now;
    },
    followRedefinition: async () => {},
  };
  await using pipeline = await RunningPipeline.start(stage, address);
  await pipeline.until(() => stage.running.size === 4);
  const { client } = pipeline;
  const histories: unknown[] = [];
  const apply = async (id: string, more: object) => {
    const handle = await client.workflow.start('bootstrap', { workflowId: `bootstrap/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, written: '', ...more }] });
    await handle.result().catch(unlessFailed);
    histories.push(await handle.fetchHistory());
  };
  await apply('plain', {});
  await apply('refused', { written: 'loses' });
  await apply('plan', { written: 'loses', dryRun: true });
  [number, filling, redefining.state] = [2, 2, 'planned'];
  const preparing = Promise.withResolvers<void>();
  redefining.preparing = () => preparing.promise;
  const other = await startRedefine(pipeline, 2);
  await untilPhase(pipeline, 'makes what', 2);
  await apply('found', { keepResults: true });
  preparing.resolve();
  await other.result();
  return histories;
}

/** One whose slot is dropped by its second attempt and whose table is left; one that only looks; and one that is cancelled. */
async function destroyed(address: string): Promise<readonly unknown[]> {
  const stage = quick();
  stage.beside = dropping();
  await using pipeline = await RunningPipeline.start(stage, address);
  const { client } = pipeline;
  const histories: unknown[] = [];
  for (const [id, more] of [['whole', {}], ['plan', { dryRun: true }], ['cancelled', { keepResults: true }]] as const) {
    const handle = await client.workflow.start('destroy', { workflowId: `destroy/${stage.name}/${id}`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, keepResults: false, ...more }] });
    if (id === 'cancelled') await handle.cancel();
    await handle.result().catch(unlessFailed);
    histories.push(await handle.fetchHistory());
  }
  return histories;
}

function dropping(): Stage['beside'] {
  const place = { kind: 'results', table: 'results.t' } as const;
  const drops = [{ kind: 'slot' }, { kind: 'publication' }, { kind: 'destination', lane: 'rows', place }, { kind: 'state', paneTables: ['sluice.panes'] }, { kind: 'spool' }] as const;
  const gone = async () => ({ wasThere: true });
  let attempts = 0;
  return {
    planDestroy: async () => ({ workflows: [], items: drops.map((drop) => ({ drop, what: drop.kind, isThere: true, byHand: 'by hand' })), untouched: [], destroyedAt: null }),
    beginDestroy: async () => {},
    endWorkflows: async ({ pipeline }) => [`pipeline/${pipeline}`],
    dropSlots: async () => (attempts++ === 0 ? Promise.reject(new Error('connection refused')) : gone()),
    dropPublication: gone,
    dropDestination: async ({ pipeline }) => (pipeline.endsWith('_other') ? gone() : Promise.reject(refused('the table is locked'))),
    dropState: gone,
    dropSpool: gone,
    finishDestroy: async () => {},
  };
}

function unlessFailed(error: unknown): void {
  if (!(error instanceof WorkflowFailedError)) throw error;
}

/** The histories of workflows that go on beside a pipeline, one after another, however they end. */
async function beside(address: string, stage: Stage, type: 'replay' | 'verify', inputs: readonly object[]): Promise<readonly unknown[]> {
  await using pipeline = await RunningPipeline.start(stage, address);
  const histories: unknown[] = [];
  for (const [index, input] of inputs.entries()) {
    const handle = await pipeline.client.workflow.start(type, { workflowId: `${type}/${stage.name}/${index}`, taskQueue: stage.taskQueue, args: [input] });
    await handle.result().catch(unlessFailed);
    histories.push(await handle.fetchHistory());
  }
  return histories;
}
