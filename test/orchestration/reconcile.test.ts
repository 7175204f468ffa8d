import { Context } from '@temporalio/activity';
import { ScheduleOverlapPolicy, type WorkflowHandle } from '@temporalio/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Reconciled } from '../../activities/reconcile-loop.ts';
import type { ReconcileStepInput } from '../../activities/reconcile.ts';
import type { BackfillRequest } from '../../core/backfill.ts';
import type { Compared, Due, ReconcileRequest, Repairs } from '../../core/reconcile.ts';
import type { ReconcileReport } from '../../core/reconcile-report.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { services } from '../embedded/services.ts';
import { refused, RunningPipeline, Stage, waited } from './stage.ts';

const minute = 60_000;
const range: PaneRange = { fromMs: 0, toMs: 10 * minute };
const rows: Compared = { sink: 'enriched', what: 'rows', windows: 60, different: 0, differing: [], differences: [], mend: { tag: 'rows' } };
const differing: Compared = { ...rows, different: 1, differing: [{ fromMs: minute, toMs: 2 * minute }], differences: [{ kind: 'extra', key: { id: '7' }, actual: {} }] };
const board: Compared = { ...differing, sink: 'board', what: 'windows', mend: { tag: 'say', view: 'top' } };

let stage: Stage;
let pipeline: RunningPipeline;
/** What the activities were asked for. */
let steps: ReconcileStepInput[];
let lasts: (Due | undefined)[];
let backfills: BackfillRequest[];
let mended: Pick<Repairs, 'say' | 'live'>[];
let told: ReconcileReport[];
/** What a step finds. */
let finds: (input: ReconcileStepInput, step: number) => Partial<Reconciled> | Promise<Partial<Reconciled>>;
/** Why a backfill is refused. */
let refusal: string | undefined;

beforeEach(async () => {
  stage = new Stage();
  [steps, lasts, backfills, mended, told, refusal] = [[], [], [], [], [], undefined];
  finds = () => ({ left: [], compared: [rows], isNowDone: true });
  stage.beside = {
    planReconcile: async ({ request, last }) => {
      lasts.push(last);
      if (request.range?.toMs === 1) throw refused('windows are still open there');
      return request.range ? { ranges: [request.range], due: null, withNow: false } : { ranges: [range], due: { fresh: range, older: { fromMs: -minute, toMs: 0 } }, withNow: true };
    },
    reconcile: async (input) => {
      steps.push(input);
      Context.current().heartbeat();
      return { ...input.from, rows: input.from.rows + 5, ...(await finds(input, steps.length)) };
    },
    mendWindows: async ({ repairs, differing: again }) => {
      mended.push(repairs);
      return { again, failed: [] };
    },
    endReconcile: async ({ report }) => void told.push(report),
    planBackfill: async (request) => {
      backfills.push(request);
      if (refusal !== undefined) throw refused(refusal);
      return { fromMs: request.fromMs, toMs: request.toMs, windows: {}, sinks: [], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' };
    },
    backfill: async ({ request }) => ({ ended: 'done', progress: { phase: 'done', fromMs: request.fromMs, toMs: request.toMs, doneToMs: request.toMs, rows: 7 } }),
    endBackfill: async () => {},
  };
  pipeline = await RunningPipeline.start(stage, services().temporalAddress);
});
afterEach(() => pipeline[Symbol.asyncDispose]());

const request = (more: Partial<ReconcileRequest> = {}): ReconcileRequest => ({ pipeline: stage.name, everyMs: 60 * minute, repair: false, rowsPerSecond: null, range, ...more });
let started = 0;
const start = (more: Partial<ReconcileRequest> = {}): Promise<WorkflowHandle> => pipeline.client.workflow.start('reconcile', { workflowId: `reconcile/${stage.name}/${++started}`, taskQueue: stage.taskQueue, args: [request(more)] });
const run = async (more: Partial<ReconcileRequest> = {}) => (await (await start(more)).result()) as ReconcileReport;

test('steps follow one another until everything is compared, each with what was found; what is found is told', async () => {
  finds = ({ from }, step) => (step < 3 ? { left: [{ fromMs: step * minute, toMs: range.toMs }], compared: [{ ...rows, windows: step }] } : { left: [], compared: [{ ...from.compared[0]!, windows: 60 }] });
  const report = await run();
  expect(steps.map(({ from }) => from.left[0]?.fromMs)).toEqual([0, minute, 2 * minute]);
  expect(report).toMatchObject({ state: 'equal', ranges: [range], left: [], rows: 15, repaired: [], failed: [], problem: null, compared: [{ windows: 60 }] });
  expect(report).not.toHaveProperty('next');
  expect(told).toEqual([report]);
});

test('a difference is told, and nothing is repaired unasked', async () => {
  finds = () => ({ left: [], compared: [differing] });
  expect(await run()).toMatchObject({ state: 'different', repaired: [], failed: [] });
  expect([backfills, mended]).toEqual([[], []]);
});

test('a repair computes exactly what differs, says windows again, and is done when that is equal', async () => {
  finds = (_, step) => ({ left: [], compared: step === 1 ? [differing, board] : [rows, { ...board, different: 0, differing: [], differences: [] }] });
  const report = await run({ repair: true });
  expect(backfills.map(({ fromMs, toMs, views, sinks }) => ({ fromMs, toMs, views, sinks }))).toEqual([{ fromMs: minute, toMs: 2 * minute, views: [], sinks: ['enriched'] }]);
  expect(mended).toEqual([{ say: [{ view: 'top', ranges: [{ fromMs: minute, toMs: 2 * minute }] }], live: [] }]);
  expect(steps.at(-1)!.from.left).toEqual([{ fromMs: minute, toMs: 2 * minute }]);
  expect(report).toMatchObject({ state: 'repaired', repaired: [expect.stringContaining('enriched, rows: 1 window'), expect.stringContaining('board, windows')], failed: [], compared: [differing, board] });
});

test('what is still different is not said to be repaired, and why a backfill failed is said beside it', async () => {
  finds = () => ({ left: [], compared: [differing] });
  refusal = 'the windows are trimmed';
  expect(await run({ repair: true })).toMatchObject({ state: 'different', repaired: [], failed: [expect.stringContaining('still, extra id=7'), 'enriched of 1970-01-01T00:01..1970-01-01T00:02: the windows are trimmed'] });
});

test('what cannot be compared is told as such, and a range that is refused fails with its sentence and tells nothing', async () => {
  finds = ({ from }) => ({ left: from.left, problem: 'Lane aggregate stands still.' });
  expect(await run()).toMatchObject({ state: 'incomplete', problem: 'Lane aggregate stands still.', left: [range] });
  await expect(run({ range: { fromMs: 0, toMs: 1 } })).rejects.toMatchObject({ cause: { message: 'windows are still open there' } });
  expect(told).toHaveLength(1);
});

test('an attempt that fails is followed by another, and a worker that is killed too', async () => {
  finds = (_, step) => {
    if (step === 1) throw new Error('connection refused');
    return { left: [], compared: [rows] };
  };
  expect(await run()).toMatchObject({ state: 'equal' });
  expect(steps).toHaveLength(2);
});

test('cancelled it ends its step, tells what it has found, and repairs nothing', async () => {
  finds = async ({ from }) => {
    const { cancellationSignal, heartbeat } = Context.current();
    const beat = setInterval(() => heartbeat(), 100);
    await waited(30_000, cancellationSignal).finally(() => clearInterval(beat));
    return { left: from.left, compared: [differing] };
  };
  const handle = await start({ repair: true });
  for (const since = performance.now(); steps.length === 0; await waited(20, new AbortController().signal)) if (performance.now() - since > 8_000) throw new Error('it did not begin');
  await handle.cancel();
  expect(await handle.result()).toMatchObject({ state: 'different', compared: [differing], problem: 'It was cancelled before its end.' });
  expect(backfills).toEqual([]);
  expect(told).toHaveLength(1);
});

test('those of a schedule go on where the one before has come to, also over one that fails', async () => {
  const scheduleId = `reconcile/${stage.name}`;
  const schedule = await pipeline.client.schedule.create({
    scheduleId,
    spec: { intervals: [{ every: '1 hour' }] },
    action: { type: 'startWorkflow', workflowType: 'reconcile', workflowId: `${scheduleId}/scheduled`, taskQueue: stage.taskQueue, args: [{ pipeline: stage.name, everyMs: 60 * minute, repair: false, rowsPerSecond: 20_000 }] },
  });
  try {
    for (const due of [undefined, { closedMs: range.toMs, olderMs: -minute }, { closedMs: range.toMs, olderMs: -minute }]) {
      const before = told.length;
      if (before === 1) finds = () => ({ left: [], problem: 'the source is away', compared: [] });
      // as it begins by itself; one that may overlap others is handed nothing
      await schedule.trigger(ScheduleOverlapPolicy.SKIP);
      // what the next one is handed is what the schedule has seen end
      const isOver = async () => told.length > before && (await schedule.describe()).info.runningActions.length === 0;
      for (const since = performance.now(); !(await isOver()); await waited(50, new AbortController().signal)) if (performance.now() - since > 15_000) throw new Error('it did not end');
      expect(lasts.at(-1)).toEqual(due);
      expect(told.at(-1)).toMatchObject({ next: { closedMs: range.toMs, olderMs: -minute } });
    }
  } finally {
    await schedule.delete();
  }
}, 60_000);
