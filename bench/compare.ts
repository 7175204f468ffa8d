import { verifyPipeline } from '../client/verify.ts';
import { type Check, checkExactness } from './exactness.ts';
import { writeLast } from './fill.ts';
import type { Workload } from './load/workload.ts';
import type { World } from './world.ts';

/** What the pipelines engagement and its variants have, when there were only inserts: they get the rest, and are paused. */
export async function compareSamples(world: World, workload: Workload, names: readonly string[]): Promise<Check[]> {
  const { client, config, signal } = world;
  await world.resume(names);
  const last = await writeLast(client, () => workload.insert(client, [Date.now()]));
  await Promise.all(names.map((name) => world.fences(name).passed(last, { timeoutMs: 60_000, signal, onLook: async () => {} })));
  await world.pause(names);
  const checks: Check[] = [];
  for (const name of names) checks.push(...(await checkExactness(config, world.fences(name).pipeline, names.length)).map((check) => ofPipeline(name, check)));
  return checks;
}

/** `./sluice verify`: any pipeline, whatever was written. It must run. */
export async function compareByVerify({ config }: World, name: string): Promise<Check[]> {
  const { checks } = await verifyPipeline(config, name);
  const digest = ({ rows, checksum }: { readonly rows: number; readonly checksum: string }) => `${rows} rows, checksum ${checksum}`;
  return checks.map(({ sink, what, expected, actual, equal, note }) => ofPipeline(name, { sink, what: note === undefined ? what : `${what} (${note})`, expected: digest(expected), actual: digest(actual), equal }));
}

function ofPipeline(name: string, check: Check): Check {
  return name === 'engagement' ? check : { ...check, sink: `${name}/${check.sink}` };
}
