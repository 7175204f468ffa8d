import { type Writing, writeBacklog } from './backlog.ts';
import type { CaseContext, Line } from './case.ts';
import { catchUp } from './catch-up.ts';
import { fill } from './fill.ts';
import { catchUpLine } from './lines.ts';
import type { World } from './world.ts';

/** The same changes, received alone while a pipeline is paused, and then caught up through all of its sinks: both begin where the changes do. */
export async function measureRound(world: World, pipeline: string, name: string, write: Writing): Promise<Line> {
  await world.pause([pipeline]);
  const backlog = await writeBacklog(world, pipeline, write);
  const caughtUp = await catchUp(world, [pipeline], backlog);
  return catchUpLine(name, backlog, caughtUp);
}

/** Inserts of the sample, as in the plain case. */
export async function fillSample(world: World, events: number): Promise<Writing> {
  const workload = await world.workload();
  return async () => ({ events, last: await fill(world.client, workload, events, world.signal) });
}

/** What the plain case reached in this run, or else a round of it now, in this world. */
export async function reachedRate({ reached, rows }: CaseContext, world: World, pipeline: string): Promise<number> {
  if (reached !== undefined) return reached;
  const { rate } = await measureRound(world, pipeline, 'for comparison', await fillSample(world, rows));
  return rate!;
}

