import { execFile } from 'node:child_process';
import { readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import type { Random } from '../../bench/load/random.ts';
import { pipelineWorkflowId } from '../../core/workflow-names.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { recovered } from '../recovery.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const run = promisify(execFile);

const drain: Fault = {
  name: 'worker/drain',
  what: 'The worker gets SIGTERM under load.',
  expected: 'Its steps end at the next segment, it ends by itself with exit code 0, and the next worker goes on.',
  drawn: true,
  async strike(world, _, signal) {
    const before = world.processes.endings('worker').length;
    const startedAt = performance.now();
    const { pid } = world.processes.signal('worker', 'SIGTERM');
    await until('the worker to end', () => world.processes.endings('worker').length > before, { timeoutMs: 20_000, everyMs: 5, signal });
    const last = world.processes.endings('worker').at(-1);
    if (last !== 'exit code 0') throw new DidNotStrike(`The worker was to drain, and ended by ${last}.`);
    return { evidence: `process ${pid} drained within ${((performance.now() - startedAt) / 1000).toFixed(1)} s` };
  },
};

const zombieMs = 15_000;

const zombie: Fault = {
  name: 'worker/zombie',
  what: 'The worker is stopped (SIGSTOP) for 15 s, longer than the heartbeat timeout; a second one takes over, and then the first one wakes up.',
  expected: 'The second worker goes on within seconds; what the first one still does when it wakes up meets other fences and changes nothing.',
  drawn: true,
  async strike(world, _, signal) {
    await world.processes.startSecondWorker(signal);
    try {
      const stopped = world.processes.signal('worker', 'SIGSTOP');
      try {
        await until('the worker to stand still', () => world.processes.stateOf(stopped) === 'T', { timeoutMs: 5_000, everyMs: 5, signal });
        const stoppedAt = performance.now();
        const { caughtUpSeconds, lanes } = await recovered(world, signal, 60_000);
        await sleep(Math.max(0, zombieMs - (performance.now() - stoppedAt)), undefined, { signal });
        if (world.processes.stateOf(stopped) !== 'T') throw new DidNotStrike('The worker did not stand still all the time.');
        return { evidence: `process ${stopped.pid} stood still for ${((performance.now() - stoppedAt) / 1000).toFixed(0)} s, in which another brought every lane to the end after ${caughtUpSeconds.toFixed(1)} s (fences moved: ${Object.entries(lanes).map(([lane, seconds]) => `${lane} ${seconds.toFixed(1)} s`).join(', ')})` };
      } finally {
        process.kill(stopped.pid, 'SIGCONT');
        await sleep(3_000); // both are awake
      }
    } finally {
      await world.processes.stop('worker-2');
    }
  },
};

const bothMs = 10_000;

const two: Fault = {
  name: 'worker/two',
  what: 'A second worker runs on the same pipeline, and both have steps of it at one moment.',
  expected: 'Steps go to either; a lane runs in one of them at a time, and its fence decides when two believe to have it.',
  drawn: true,
  async strike(world, _, signal) {
    await world.processes.startSecondWorker(signal);
    try {
      let at: string[] = [];
      let looks = 0;
      const both = async () => {
        at = [...new Set(await stepIdentities(world))];
        if ((['worker', 'worker-2'] as const).every((name) => at.some((identity) => identity.startsWith(`${world.processes.pid(name)}@`)))) return true;
        await beginAnywhere(world, world.fences.lanes[looks++ % world.fences.lanes.length]!);
        return false;
      };
      await until('both workers to have a step at one moment', both, { timeoutMs: struckMs, everyMs: 1_000, signal });
      await sleep(bothMs, undefined, { signal });
      return { evidence: `steps ran in ${at.toSorted().join(' and ')} at one moment, and either could have them for ${bothMs / 1000} s more` };
    } finally {
      await world.processes.stop('worker-2');
    }
  },
};

/** Begins a lane's step anew. The worker that has the workflow in its cache begins steps itself, so it is made to forget which. */
async function beginAnywhere(world: World, lane: string): Promise<void> {
  const { config, name } = world;
  await pausePipeline(config, name, lane);
  await world.temporal((client) => client.workflowService.resetStickyTaskQueue({ namespace: config.temporalNamespace, execution: { workflowId: pipelineWorkflowId(name) } }));
  await resumePipeline(config, name, lane);
}

/** Of the workers that have a step of the pipeline now. */
async function stepIdentities(world: World): Promise<string[]> {
  const { raw } = await world.temporal((client) => client.workflow.getHandle(pipelineWorkflowId(world.name)).describe());
  return (raw.pendingActivities ?? []).flatMap(({ lastWorkerIdentity }) => (lastWorkerIdentity ? [lastWorkerIdentity] : []));
}

const blockMs = 10_000;

const blocked: Fault = {
  name: 'worker/event-loop-blocked',
  what: 'The event loop of the worker stands still for 10 s, in the middle of an apply.',
  expected: 'Heartbeats stay away, so the steps count as lost; when it goes on, new attempts in the same process take the seats of the old ones.',
  drawn: true,
  async strike(world, _, signal) {
    await world.killOrders.arm('lane/handed-over', { blockMs });
    const { pid } = await world.killOrders.struck(signal);
    const blockedAt = performance.now();
    const url = `http://127.0.0.1:${world.config.workerPort}/health`;
    const silent = await fetch(url, { signal: AbortSignal.timeout(blockMs / 2) }).then(() => false, () => true);
    if (!silent) throw new DidNotStrike('The worker still answered.');
    await until('the worker to answer again', async () => (await fetch(url, { signal: AbortSignal.timeout(1_000) })).status === 200, { timeoutMs: 30_000, signal });
    return { evidence: `process ${pid} answered nothing for ${((performance.now() - blockedAt) / 1000).toFixed(1)} s` };
  },
};

const diskFull: Fault = {
  name: 'worker/disk-full',
  what: 'The disk of the spool is full for 10 s: a file system of its own, filled to the last block.',
  expected: 'The capture says so and tries again; the source keeps what cannot be spooled, and lanes take what is spooled.',
  drawn: true,
  unfit: ({ instance }) => (instance.spoolDisk === undefined ? 'No file system can be mounted here (it needs root and loop devices).' : undefined),
  async strike(world, _, signal) {
    const spool = world.instance.spoolDisk!;
    const filler = join(spool, 'filler');
    try {
      // until nothing goes any more: fallocate gives up at the first try that does not fit
      for (let bytes = 256 << 20; bytes >= 4096; ) {
        const grown = await run('bash', ['-c', `head -c ${bytes} /dev/zero >> '${filler}'`]).then(() => true, () => false);
        if (!grown) bytes >>= 1;
      }
      const { bavail } = await statfs(spool);
      const said = await world.untilFailing('capture', /ENOSPC|the spool is full/, signal);
      await sleep(10_000, undefined, { signal });
      return { evidence: `${bavail} blocks were free, and the capture said: ${said}` };
    } finally {
      await rm(filler, { force: true });
    }
  },
};

const spoolDeleted: Fault = {
  name: 'worker/spool-deleted',
  what: 'The directory of the spool is deleted while the worker runs.',
  expected: 'The capture begins a new chain at the smallest fence of the lanes; the source has kept everything above it.',
  drawn: true,
  async strike(world) {
    const spool = join(world.config.dataDir, 'spool', world.name);
    const segments = (await readdir(spool)).filter((name) => name.endsWith('.segment'));
    if (segments.length === 0) throw new DidNotStrike(`There was no segment in ${spool}.`);
    // a worker that writes meanwhile makes it fail at first
    await rm(spool, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 });
    return { evidence: `${segments.length} segments were deleted` };
  },
};

const damaged: Fault = {
  name: 'worker/segment-damaged',
  what: 'A byte changes on disk, in a segment that a lane has yet to read: it is paused meanwhile, and the worker killed.',
  expected: 'The lane parks and says so. With the spool deleted, as that says, it gets what it lacks from the source again.',
  drawn: false,
  async strike(world, random, signal) {
    const lane = world.fences.lanes.at(-1)!;
    const spool = join(world.config.dataDir, 'spool', world.name);
    await pausePipeline(world.config, world.name, lane);
    let said = '';
    let file = '';
    try {
      await until(`${lane} to be paused`, async () => (await world.status()).lanes.find(({ name }) => name === lane)?.state === 'paused', { timeoutMs: 30_000, everyMs: 200, signal });
      const before = new Set(await readdir(spool));
      const fresh = async () => (await readdir(spool)).filter((name) => name.endsWith('.segment') && !before.has(name)).toSorted();
      await until('segments behind it', async () => (await fresh()).length > 3, { timeoutMs: 30_000, everyMs: 200, signal });
      file = join(spool, (await fresh())[1]!);
      await flipByte(file, random);
      await world.processes.kill('worker', signal);
    } finally {
      await until('a worker to answer', () => resumePipeline(world.config, world.name, lane).then(() => true), { timeoutMs: struckMs, everyMs: 200, signal });
    }
    said = await world.untilParked(lane, /The spool is damaged/, signal);
    await rm(spool, { recursive: true, force: true, maxRetries: 20, retryDelay: 5 });
    await world.resumeParked([lane, 'capture'], signal);
    return { evidence: `a byte of ${basename(file)} was another, and lane ${lane} said: ${said}` };
  },
};

async function flipByte(path: string, random: Random): Promise<void> {
  const bytes = await readFile(path);
  bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
  await writeFile(path, bytes);
}

export const workerFaults: readonly Fault[] = [drain, zombie, two, blocked, diskFull, spoolDeleted, damaged];
