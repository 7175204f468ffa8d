import { execFile } from 'node:child_process';
import { readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { pipelineWorkflowId } from '../../core/workflow-names.ts';
import { DidNotStrike, type Fault } from '../fault.ts';
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

const two: Fault = {
  name: 'worker/two',
  what: 'A second worker runs on the same pipeline for 15 s, and both have steps of it.',
  expected: 'Steps go to either; a lane runs in one of them at a time, and its fence decides when two believe to have it.',
  drawn: true,
  async strike(world, _, signal) {
    const first = new Set(await stepIdentities(world));
    await world.processes.startSecondWorker(signal);
    try {
      const second = `${world.processes.pid('worker-2')}@`;
      const isSecond = (identity: string) => identity.startsWith(second);
      // its steps wander to the other
      world.processes.signal('worker', 'SIGTERM');
      const seen = new Set(first);
      const look = async () => {
        for (const identity of await stepIdentities(world)) seen.add(identity);
        return [...seen].some(isSecond);
      };
      await until('the second worker to have a step', look, { timeoutMs: 60_000, everyMs: 200, signal });
      for (const endsAt = performance.now() + 15_000; performance.now() < endsAt; await look()) await sleep(500, undefined, { signal });
      if ([...seen].every(isSecond)) throw new DidNotStrike(`Only ${[...seen].join()} had steps.`);
      return { evidence: `steps ran in ${[...seen].toSorted().join(' and ')}` };
    } finally {
      await world.processes.stop('worker-2');
    }
  },
};

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
    await world.killOrders.arm('lane/handed-over', blockMs);
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

export const workerFaults: readonly Fault[] = [drain, zombie, two, blocked, diskFull, spoolDeleted];
