import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../bench/load/random.ts';
import { repairPipeline } from '../client/repairs.ts';
import { CouldNotVerify, verifyPipeline } from '../client/verify.ts';
import type { Verification } from '../core/verification.ts';
import { drawTurns, inOrder, type Turn } from './draw.ts';
import type { Fault } from './fault.ts';
import { clockDoubts, emptyDoubts } from './doubts.ts';
import { drawLoad, Load, type LoadParameters } from './load.ts';
import { WorkerMemory } from './memory.ts';
import type { ChaosOptions } from './options.ts';
import { recovered } from './recovery.ts';
import { type ChaosReport, type FaultReport, middle } from './report.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** Longer than a call may wait that nobody answers, than any lane may back off, and than a first load of what a run writes. */
const recoveryMs = 240_000;
/** Until then a window that is open or waits to be said anew is not compared, and what was made anew may show none. No rolling window is so short. */
const closedMs = 25_000;

/** Load and faults, then quiet, then the comparison. Never throws but when it is stopped: what went wrong is in the report. */
export async function runChaos(world: World, options: ChaosOptions, faults: readonly Fault[], say: (line: string) => void, signal: AbortSignal): Promise<Omit<ChaosReport, 'kept'>> {
  const { seed, minutes } = options;
  const parameters = drawLoad(new Random(seed));
  const memory = new WorkerMemory(world.processes);
  const load = new Load(world, parameters);
  world.load = load;
  world.workerPeakMiB = () => {
    memory.look();
    return memory.peakMiB;
  };
  const startedAt = performance.now();
  const reports: FaultReport[] = [];
  let error: string | null = null;
  let transactions: Readonly<Record<string, number>> = {};
  let quietSeconds: number | null = null;
  const verifications: Verification[] = [];
  let written = { rows: 0, seconds: 0 };
  const doubted: string[] = [];
  try {
    say(`seed ${seed}: ${parameters.rate} events/s, ${parameters.updates} updates, ${parameters.deletes} deletes, ${parameters.late} late, and transactions of every shape`);
    await load.start();
    const endsAt = startedAt + minutes * 60_000;
    const given = options.faults.map((names) => names.split('+').map((name) => faults.find((fault) => fault.name === name)!));
    const turns = given.length > 0 ? inOrder(seed, given) : drawTurns(seed, faults.filter((fault) => fault.drawn && !fault.unfit?.(world)));
    for (const turn of turns) {
      if (given.length === 0 && performance.now() + turn.pauseMs >= endsAt) break;
      await sleep(turn.pauseMs, undefined, { signal });
      if (turn.faults.some(({ forgets }) => forgets)) {
        const verification = await compared(world, doubted, signal);
        verifications.push(verification);
        say(`${clock((performance.now() - startedAt) / 1000)} compared, as what comes hides what was before: ${verification.equal ? 'equal' : 'NOT equal'}`);
        if (!verification.equal) break;
      }
      const done = await oneTurn(world, options, turn, startedAt, say, signal);
      reports.push(...done);
      if (done.some(({ ok }) => !ok)) break;
    }
    const seconds = (performance.now() - startedAt) / 1000;
    transactions = (await load.stop()) ?? {};
    written = { rows: await load.inserted(), seconds };
    if (verifications.every(({ equal }) => equal)) {
      quietSeconds = await world.quiet(signal);
      say(`quiet after ${quietSeconds.toFixed(1)} s; comparing when every window that was written to has closed`);
      await sleep(Math.max(0, closedMs - quietSeconds * 1000), undefined, { signal });
      verifications.push(await compared(world, doubted, signal));
      // what came late, and what has lost a min or max, is compared as far as the panes know it: then as the repair leaves it (E14, E15)
      if (given.length === 0 && verifications.at(-1)!.equal) {
        say(`equal; ${await repairedAll(world, signal)}, and comparing again`);
        await world.quiet(signal);
        verifications.push(await compared(world, doubted, signal));
      }
    }
    const wrong = [...doubted, ...emptyDoubts(verifications), ...crashes(world), ...idle(parameters, written, world.name !== 'laboratory'), ...(memory.peakMiB > mostMiB ? [`a worker had ${Math.round(memory.peakMiB)} MiB, over ${mostMiB}`] : [])];
    error = wrong.length > 0 ? `${wrong.join('; ')}.` : null;
  } catch (failure) {
    signal.throwIfAborted();
    const { message } = failure as Error;
    error = failure instanceof CouldNotVerify ? `It could not be compared: ${message}` : message;
  } finally {
    await load.stop().catch(() => {});
    memory.look();
    memory.stop();
  }
  const recoveries = reports.flatMap(({ recoverySeconds }) => (recoverySeconds === null ? [] : [recoverySeconds]));
  const verification = verifications.at(-1) ?? null;
  const equal = verification?.equal === true;
  return {
    seed,
    pipeline: world.name,
    minutes,
    load: parameters,
    transactions,
    faults: reports,
    medianRecoverySeconds: middle(recoveries),
    worstRecoverySeconds: recoveries.length === 0 ? null : Math.max(...recoveries),
    workerPeakMiB: memory.peakMiB,
    workers: memory.count,
    quietSeconds,
    written,
    comparisons: verifications.length,
    verification,
    error,
    equal,
    ok: equal && error === null && reports.every(({ ok }) => ok),
    repeat: repeatCommand(options),
  };
}

/** All faults of a turn, and the recovery from all of them. */
async function oneTurn(world: World, options: ChaosOptions, { faults, apartMs, seed }: Turn, startedAt: number, say: (line: string) => void, signal: AbortSignal): Promise<FaultReport[]> {
  return Promise.all(
    faults.map(async (fault, place) => {
      const unfit = fault.unfit?.(world);
      await sleep(place * apartMs, undefined, { signal });
      const beganAt = performance.now();
      const report: { -readonly [K in keyof FaultReport]: FaultReport[K] } = {
        name: fault.name,
        what: fault.what,
        expected: fault.expected,
        atSeconds: (beganAt - startedAt) / 1000,
        tookSeconds: 0,
        evidence: null,
        recoverySeconds: null,
        caughtUpSeconds: null,
        lanes: {},
        ok: false,
        error: null,
        repeat: repeatCommand({ ...options, faults: [faults.map(({ name }) => name).join('+')] }),
      };
      try {
        if (unfit !== undefined) throw new Error(unfit);
        const { evidence, after } = await fault.strike(world, new Random(seed + place), signal, faults.length > 1);
        report.evidence = evidence;
        report.tookSeconds = (performance.now() - beganAt) / 1000;
        const { seconds, caughtUpSeconds, lanes } = await recovered(world, signal, recoveryMs);
        report.recoverySeconds = seconds;
        report.caughtUpSeconds = caughtUpSeconds;
        report.lanes = lanes;
        if (after) report.evidence = `${evidence}; ${await after()}`;
        report.ok = true;
        say(`${clock(report.atSeconds)} ${fault.name}: ${report.evidence}; took ${report.tookSeconds.toFixed(1)} s, fences moved after ${seconds.toFixed(1)} s, caught up after ${caughtUpSeconds.toFixed(1)} s`);
      } catch (error) {
        signal.throwIfAborted();
        report.error = (error as Error).message;
        say(`${clock(report.atSeconds)} ${fault.name} FAILED: ${report.error}`);
      }
      return report;
    }),
  );
}

/** Whatever ends a worker but a fault is a bug, however well the next one goes on. */
function crashes(world: World): readonly string[] {
  return (['worker', 'worker-2', 'api'] as const).flatMap((name) => world.processes.unordered(name).map((why) => `${name} ended by itself (${why}): see its log`));
}

/** Fences move by canaries alone: that they did says nothing if nobody wrote. */
function idle({ rate }: LoadParameters, { rows, seconds }: ChaosReport['written'], isAsked: boolean): readonly string[] {
  return rows === 0 || (isAsked && rows < (rate * seconds) / 10) ? [`the load was ${Math.round(rows / seconds)} events/s, and ${rate} were asked for`] : [];
}

/** A fault that is just over may have left something for which a comparison has to wait. */
async function compared(world: World, doubted: string[], signal: AbortSignal): Promise<Verification> {
  for (let tries = 1; ; tries++) {
    try {
      const ofClock = await clockDoubts(world);
      const verification = await verifyPipeline(world.config, world.name);
      doubted.push(...ofClock);
      return verification;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof CouldNotVerify) || tries === mostTries) throw error;
    }
  }
}

/** Until nothing is left that is stale; the pipeline's own may be at some of it. */
async function repairedAll({ config, name }: World, signal: AbortSignal): Promise<string> {
  let [ranges, read] = [0, 0];
  const done = async () => {
    const { repaired, failed, rows, left } = await repairPipeline(config, name);
    ranges += repaired.length;
    read += rows;
    if (failed.length + left > 0) throw new Error(`${left} ranges are left; ${failed.join('; ') || 'none failed'}`);
    return true;
  };
  await until('the repair to leave nothing', done, { timeoutMs: recoveryMs, everyMs: 1_000, signal });
  return `a repair has read ${read} rows for ${ranges} ranges`;
}

const mostTries = 3;
/** Of a worker, through all of it. */
const mostMiB = 512;

function repeatCommand({ seed, minutes, pipeline, faults }: ChaosOptions): string {
  const given = faults.map((name) => ` --fault ${name}`).join('');
  return `./sluice chaos --seed ${seed}${faults.length > 0 ? '' : ` --minutes ${minutes}`} --pipeline ${pipeline}${given}`;
}

function clock(seconds: number): string {
  return `${String(Math.floor(seconds / 60)).padStart(2, '0')}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}
