import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensurePipelines, pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import { pipelineWorkflowId } from '../../core/workflow-names.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { recovered } from '../recovery.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

/** While nobody answers, fences move: the stream does not stop for its control plane. */
function unreachable(name: string, seconds: number, drawn: boolean): Fault {
  return {
    name,
    what: `The worker cannot reach Temporal for ${seconds} s, under load.`,
    expected: 'Every lane that has a step goes on meanwhile (E25), and one that is just between two of them (a tenth of a second in ten), or whose step another fault has ended, waits; afterwards steps that the server gave up are taken over by their next attempts.',
    drawn,
    async strike(world, _, signal, beside) {
      const { temporal } = world.proxies;
      const refusedBefore = temporal.counts.refused;
      await until('every part to be in the middle of a step', () => inMidStep(world), { timeoutMs: 30_000, signal });
      const startedAt = performance.now();
      temporal.down();
      try {
        // what was handed out before may still have ended in the first seconds
        await sleep(Math.min(6_000, seconds * 500), undefined, { signal });
        const { caughtUpSeconds, lanes } = await recovered(world, signal, 15_000, beside ? () => lanesWithoutStep(world) : undefined);
        const waiting = world.fences.lanes.filter((lane) => !(lane in lanes));
        await sleep(Math.max(0, seconds * 1000 - (performance.now() - startedAt)), undefined, { signal });
        const refused = temporal.counts.refused - refusedBefore;
        if (refused === 0) throw new DidNotStrike('The worker never tried to reach Temporal.');
        return { evidence: `${refused} connections were refused in ${seconds} s, and ${waiting.length === 0 ? 'every lane' : `all but ${waiting.join(', ')}, whose steps had failed,`} reached what was committed meanwhile, within ${caughtUpSeconds.toFixed(1)} s` };
      } finally {
        temporal.set({ tag: 'pass' });
      }
    },
  };
}

/** Steps of all parts begin and end together; who has just ended one cannot get another. */
async function inMidStep(world: World): Promise<boolean> {
  const { stepMs } = world.pipeline.settings;
  const into = Date.now() % stepMs;
  if (into < stepMs / 10 || into > stepMs * 0.8) return false;
  return (await withoutStep(world)).length === 0;
}

/** Parts of which no step runs: while Temporal is away, none begins. */
async function withoutStep({ config, fences, pipeline: { name } }: World): Promise<readonly string[]> {
  const metrics = await (await fetch(`http://127.0.0.1:${config.workerPort}/metrics`)).text();
  return ['capture', ...fences.lanes].filter((part) => !metrics.includes(`sluice_step_running{pipeline="${name}",part="${part}"} 1`));
}

/** Without a capture no lane gets anything. */
async function lanesWithoutStep(world: World): Promise<readonly string[]> {
  const parts = await withoutStep(world);
  return parts.includes('capture') ? world.fences.lanes : parts;
}

/** EventType of temporal.api.enums.v1. */
const workflowTaskCompleted = 7;

const reset: Fault = {
  name: 'temporal/reset',
  what: 'An operator resets the pipeline\'s workflow to an earlier point of its history.',
  expected: 'The steps of the old run end, those of the new one go on from the fences.',
  drawn: true,
  async strike(world, random, signal) {
    const workflowId = pipelineWorkflowId(world.name);
    return world.temporal(async (client) => {
      const handle = client.workflow.getHandle(workflowId);
      const read = async () => {
        const { runId } = await handle.describe();
        const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
        return { runId, events: events ?? [], points: (events ?? []).filter(({ eventType }) => Number(eventType) === workflowTaskCompleted) };
      };
      let history = await read();
      // a run that has only just begun has one, until its first step ends
      await until('two places to reset to', async () => (history = await read()).points.length > 1, { timeoutMs: struckMs, everyMs: 500, signal });
      const { runId, events, points } = history;
      const point = points[random.below(points.length - 1)]!;
      const { runId: next } = await client.workflowService.resetWorkflowExecution({
        namespace: world.config.temporalNamespace,
        workflowExecution: { workflowId, runId },
        reason: 'chaos',
        workflowTaskFinishEventId: point.eventId!,
        requestId: randomUUID(),
      });
      await until('the new run', async () => (await handle.describe()).runId === next, { timeoutMs: 10_000, signal });
      return { evidence: `run ${runId} was reset to its event ${String(point.eventId)} of ${events.length}; ${next} goes on` };
    });
  },
};

const terminated: Fault = {
  name: 'temporal/terminated',
  what: 'Somebody terminates the pipeline\'s workflow in Temporal, and starts it again as ./sluice up does.',
  expected: 'Its steps end, for nobody wants them; those of the new one go on from the fences.',
  drawn: true,
  async strike(world, _, signal) {
    const workflowId = pipelineWorkflowId(world.name);
    const runId = await world.temporal(async (client) => {
      const handle = client.workflow.getHandle(workflowId);
      const before = (await handle.describe()).runId;
      await handle.terminate('chaos');
      return before;
    });
    await until('it to be started again', () => ensurePipelines(world.config, [world.name]).then(() => true), { timeoutMs: struckMs, everyMs: 200, signal });
    await world.untilRunning(signal);
    return { evidence: `run ${runId} was terminated` };
  },
};

const pausedMs = 5_000;

const paused: Fault = {
  name: 'temporal/paused',
  what: 'The pipeline is paused under load, and resumed.',
  expected: 'No fence moves while it is paused; then all of them go on.',
  drawn: true,
  async strike(world, _, signal) {
    await until('the pipeline to take it', () => pausePipeline(world.config, world.name).then(() => true), { timeoutMs: struckMs, everyMs: 200, signal });
    let stood = '';
    try {
      await until('its steps to end', async () => (await withoutStep(world)).length > world.fences.lanes.length, { timeoutMs: struckMs, everyMs: 200, signal });
      const before = await world.fences.read();
      await sleep(pausedMs, undefined, { signal });
      const moved = [...(await world.fences.read())].filter(([lane, fence]) => fence !== undefined && before.get(lane) !== undefined && fence > before.get(lane)!).map(([lane]) => lane);
      if (moved.length > 0) throw new Error(`It was paused, and ${moved.join(', ')} moved.`);
      stood = `every fence stood for ${pausedMs / 1000} s`;
    } finally {
      await until('the pipeline to go on', () => resumePipeline(world.config, world.name).then(() => true), { timeoutMs: struckMs, everyMs: 200, signal });
    }
    return { evidence: stood };
  },
};

const deployed: Fault = {
  name: 'temporal/deployed-anew',
  what: 'The worker is exchanged, one process beside the other, with histories in flight.',
  expected: 'The new process replays the history and goes on; the old one drains.',
  drawn: true,
  async strike(world, _, signal) {
    const old = world.processes.pid('worker');
    await world.processes.startSecondWorker(signal);
    const second = world.processes.pid('worker-2');
    try {
      await world.processes.stop('worker');
      let seconds: number;
      try {
        ({ caughtUpSeconds: seconds } = await recovered(world, signal, 60_000));
      } finally {
        await world.processes.start('worker', signal);
      }
      return { evidence: `${old} was exchanged for ${second}, which brought every lane to the end after ${seconds.toFixed(1)} s, and that for ${world.processes.pid('worker')}` };
    } finally {
      await world.processes.stop('worker-2');
    }
  },
};

export const temporalFaults: readonly Fault[] = [unreachable('temporal/unreachable', 20, true), reset, terminated, paused, deployed, unreachable('temporal/unreachable-2m', 120, false)];
