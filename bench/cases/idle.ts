import { setTimeout as wait } from 'node:timers/promises';
import { actionsOf } from '../actions.ts';
import { type Case, type Line, noFigures } from '../case.ts';
import { Meter } from '../meter.ts';
import { peakMiB, resetPeak } from '../processes.ts';
import type { World, WorldOptions } from '../world.ts';
import { defaultSettings } from '../../core/pipeline.ts';
import { quietAfterMs } from '../../core/quiet-canary.ts';

const names = ['engagement', 'trending'];
/** What a start leaves to do is done by then, and the stream counts as quiet. */
const settleMs = quietAfterMs(defaultSettings) + 10_000;
const watchMs = 60_000;

/** Sluice's own processes; the services are the user's, or would be. */
const product = ['worker', 'api', 'receiver'];

export const idleFigure = 'product, % of a core';

/** Lines by the profile of heartbeats; what a goal looks for and no profile measures stays `not measured`. */
export const everySecond = 'heartbeats each second';
export const everyTenSeconds = 'heartbeats each 10 s';

/** With which world each is measured. */
const profiles: readonly { readonly line: string; readonly world: WorldOptions }[] = [
  { line: everySecond, world: { environment: { SLUICE_HEARTBEAT: '1s' } } },
  { line: everyTenSeconds, world: { environment: { SLUICE_HEARTBEAT: '10s' } } },
];

export const idle: Case = {
  name: 'idle',
  what: `The two sample pipelines without a single event, for ${watchMs / 1000} s: what all processes of the product take of a core. Services, Temporal among them, are shown apart.`,
  short: false,
  limitMinutes: 10,

  async *run({ signal, open }) {
    for (const { line, world } of profiles) yield await watch(await open(world), line, signal);
  },
};

async function watch(world: World, name: string, signal: AbortSignal): Promise<Line> {
  await world.start(...names);
  await wait(settleMs, undefined, { signal });
  const meter = await Meter.start(world.instance, world.client, []);
  resetPeak(world.workerPid);
  const startedAt = performance.now();
  const actions = await actionsOf(world.config, () => wait(watchMs, undefined, { signal }));
  const seconds = (performance.now() - startedAt) / 1000;
  const shares = Object.entries(meter.used().cpu).filter(([process]) => process !== 'walsender' && process !== 'load').map(([process, used]) => [process, (100 * used) / seconds] as const);
  const together = shares.reduce((sum, [process, share]) => (product.includes(process) ? sum + share : sum), 0);
  return { ...noFigures, name, peakMiB: peakMiB(world.workerPid), figures: { [idleFigure]: together, 'Temporal actions an hour': actions.perHour, 'Temporal actions a day': actions.perDay, ...Object.fromEntries(shares.map(([process, share]) => [`${process} %`, share])) } };
}
