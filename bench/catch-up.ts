import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import type { Lsn } from '../core/position.ts';
import { actionsOf } from './actions.ts';
import { Meter, type Used } from './meter.ts';
import { peakMiB, resetPeak } from './processes.ts';
import type { CpuProfile } from './flame.ts';
import { profiledProcess } from './profile.ts';
import type { World } from './world.ts';

export type CaughtUp = Used & {
  /** From `resume` until every lane of every pipeline had everything. */
  readonly seconds: number;
  /** By how many bytes the spools grew. */
  readonly spooled: number;
  /** Of Temporal, in that time. */
  readonly actions: number;
  /** Of the worker. */
  readonly peakMiB: number;
};

export type CatchUpOptions = {
  readonly last: Lsn;
  /** For the time that it may take. */
  readonly events: number;
  readonly loadPid?: number | undefined;
};

/** A thirtieth of what is aimed at. */
const slowestPerSecond = 5_000;

/** Resumes pipelines that are paused, and waits until they have what lies below `last`. */
export async function catchUp(world: World, names: readonly string[], { last, events, loadPid }: CatchUpOptions): Promise<CaughtUp> {
  const { instance, client, signal, workerPid } = world;
  const meter = await Meter.start(instance, client, names.map((name) => sourceNames(name).slot), loadPid);
  const spoolBefore = world.spoolBytes();
  const timeoutMs = 60_000 + (events * names.length * 1000) / slowestPerSecond;
  resetPeak(workerPid);
  let passed: readonly Readonly<Record<string, number>>[] = [];
  const { count: actions, seconds } = await actionsOf(world.config, async () => {
    const resuming = world.resume(names);
    resuming.catch(() => {}); // it is waited for below, unless the fences fail first
    passed = await Promise.all(names.map((name, index) => world.fences(name).passed(last, { timeoutMs, signal, onLook: async () => (index === 0 ? meter.look() : undefined) })));
    await resuming;
  });
  const lanes = passed.flatMap((each, index) => Object.entries(each).map(([lane, took]) => [names.length === 1 ? lane : `${names[index]}/${lane}`, took] as const));
  world.say(`everything was there after ${lanes.map(([lane, took]) => `${lane} ${took.toFixed(1)} s`).join(', ')}`);
  return { ...meter.used(), seconds, spooled: world.spoolBytes() - spoolBefore, actions, peakMiB: peakMiB(workerPid) };
}

/** The same under the worker's CPU profiler, which costs: it is no measurement. */
export async function profiledCatchUp(world: World, name: string, options: CatchUpOptions, file: string): Promise<CpuProfile> {
  return profiledProcess(world.workerPid, file, async () => void (await catchUp(world, [name], options)));
}
