import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { BackfillRequest } from '../../core/backfill.ts';
import { repairWorkflowId, type RepairReport, type StaleRange } from '../../core/repair.ts';
import { services } from '../embedded/services.ts';
import { refused, RunningPipeline, Stage, waited } from './stage.ts';

/** A pipeline whose aggregate lane finds late changes whenever a test says so. */
function staged(): { stage: Stage; stale: StaleRange[]; computed: BackfillRequest[]; late: { events: number } } {
  const stage = new Stage();
  const [stale, computed, late]: [StaleRange[], BackfillRequest[], { events: number }] = [[], [], { events: 0 }];
  stage.stepMs = 400;
  stage.repairAfterMs = 300;
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'aggregate' ? { late: late.events } : {}) });
  stage.beside = {
    staleWindows: async () => ({ ranges: stale.splice(0), hasIndex: true }),
    planBackfill: async (request) => {
      computed.push(request);
      if (request.views[0] === 'refused') throw refused('windows are still open there');
      return { fromMs: request.fromMs, toMs: request.toMs, windows: {}, sinks: [], rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' };
    },
    backfill: async ({ request }) => {
      Context.current().heartbeat();
      return { ended: 'done', progress: { phase: 'done', fromMs: request.fromMs, toMs: request.toMs, doneToMs: request.toMs, rows: 7 } };
    },
    endBackfill: async () => {},
  };
  return { stage, stale, computed, late };
}

const range = (minute: number, view = 'top'): StaleRange => ({ fromMs: minute * 60_000, toMs: (minute + 1) * 60_000, views: [view] });

async function repairs({ client, stage }: RunningPipeline): Promise<readonly RepairReport[]> {
  const reports: RepairReport[] = [];
  const handles: WorkflowHandle[] = [];
  for await (const { runId, status } of client.workflow.list({ query: `WorkflowId = '${repairWorkflowId(stage.name)}'` })) if (status.name === 'COMPLETED') handles.unshift(client.workflow.getHandle(repairWorkflowId(stage.name), runId));
  for (const handle of handles) reports.push(await handle.result() as RepairReport);
  return reports;
}

async function until(wanted: () => Promise<boolean>): Promise<void> {
  for (const startedAt = performance.now(); !(await wanted()); await waited(50, new AbortController().signal)) if (performance.now() - startedAt > 15_000) throw new Error('not reached');
}

test('E14: late changes bring about a repair, which computes the stale windows anew, slowly; what is refused is told, and the rest is done', async () => {
  const { stage, stale, computed, late } = staged();
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  // each run looks once by itself
  await until(async () => (await repairs(pipeline)).length === 1);
  expect(computed).toEqual([]);

  stale.push(range(1), range(5, 'refused'), range(9));
  late.events = 3;
  await until(async () => computed.length === 3);
  late.events = 0;
  await until(async () => (await repairs(pipeline)).some(({ failed }) => failed.length > 0));
  expect(computed.map(({ fromMs, views, sinks, rowsPerSecond }) => ({ fromMs, views, sinks, isSlow: rowsPerSecond !== null }))).toEqual([
    { fromMs: 60_000, views: ['top'], sinks: [], isSlow: true },
    { fromMs: 300_000, views: ['refused'], sinks: [], isSlow: true },
    { fromMs: 540_000, views: ['top'], sinks: [], isSlow: true },
  ]);
  expect((await repairs(pipeline)).find(({ failed }) => failed.length > 0)).toEqual({
    repaired: ['top 1970-01-01T00:01..1970-01-01T00:02', 'top 1970-01-01T00:09..1970-01-01T00:10'],
    failed: ['refused 1970-01-01T00:05..1970-01-01T00:06: windows are still open there'],
    rows: 14,
    left: 0,
  });
  const told = 'late changes could not be put into their windows: refused 1970-01-01T00:05..1970-01-01T00:06: windows are still open there';
  await pipeline.until(({ notes }) => notes.includes(told));
}, 40_000);

test.each([
  ['E15: so do panes that have lost a min or max', { retracted: 2 }],
  ['E18: so do panes that a backfill has left so', { stale: true }],
])('%s', async (_, found) => {
  const { stage, stale, computed } = staged();
  let has: typeof found | undefined;
  stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'aggregate' ? has : undefined) });
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  await until(async () => (await repairs(pipeline)).length === 1);
  stale.push(range(4));
  has = found;
  await until(async () => computed.length === 1);
  has = undefined;
  await until(async () => (await repairs(pipeline)).some(({ repaired }) => repaired.length > 0));
  expect(computed.map(({ fromMs, views }) => [fromMs, views])).toEqual([[240_000, ['top']]]);
}, 40_000);

test('a repair goes on over a change of runs, and what is late is computed once', async () => {
  const { stage, stale, computed, late } = staged();
  stage.repairAfterMs = 3_000;
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress, { rotateAtEvents: 40 });
  const first = (await pipeline.handle.describe()).runId;
  await until(async () => (await pipeline.client.workflow.getHandle(`pipeline/${stage.name}`).describe()).runId !== first);
  stale.push(range(2));
  late.events = 1;
  await until(async () => computed.length === 1);
  late.events = 0;
  await until(async () => (await repairs(pipeline)).some(({ repaired }) => repaired.length > 0));
  const all = await repairs(pipeline);
  expect(all.flatMap(({ failed }) => failed)).toEqual([]);
  expect(all.flatMap(({ repaired }) => repaired)).toHaveLength(1);
  expect(computed).toHaveLength(1);
}, 40_000);

test('zero: late changes stay in the late output', async () => {
  const { stage, stale, computed, late } = staged();
  stage.repairAfterMs = 0;
  stale.push(range(1));
  late.events = 2;
  await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
  await pipeline.until(() => stage.began.filter(({ part }) => part === 'aggregate').length > 3);
  expect(computed).toEqual([]);
  expect(stale).toHaveLength(1);
});
