import type { HoldReport } from '../../workflows/messages.ts';
import { at, laneState, refused, RunningPipeline, Stage, waited } from '../orchestration/stage.ts';

/** What a recorded history contains. Each returns the run ids whose histories are kept. */
export type Scenario = (address: string) => Promise<readonly unknown[]>;

export const scenarios: Readonly<Record<string, Scenario>> = { 'pause-and-lanes': pauseAndLanes, 'first-load-and-failures': firstLoadAndFailures, 'hold-drain-reload': holdDrainReload, 'fresh-run': freshRun, 'paused-slot': pausedSlot };

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
