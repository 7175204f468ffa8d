import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { pause } from '../core/clock.ts';
import { lanesOf } from '../core/define/lanes.ts';
import type { LaneLook } from '../core/recovery-plan.ts';
import { lackOf } from './lane-loop.ts';
import type { Definition, Runtime } from './runtime.ts';

type LooksRuntime = Pick<Runtime, 'state' | 'definition' | 'destinations' | 'log'>;

/** Every destination is asked where it is, and the spool whether it goes on from there. One that is being added, or was let go, is for apply to fill. */
export async function lookAtLanes(runtime: LooksRuntime, pipeline: string): Promise<readonly LaneLook[]> {
  const definition = await runtime.definition(pipeline);
  // takes notice of what another process has appended
  await (await runtime.log(pipeline)).tail();
  const [joining, detached] = [await readJoining(runtime.state, pipeline), await readDetached(runtime.state, pipeline)];
  const lanes = lanesOf(definition.pipeline).filter(({ name, reads }) => reads === 'segments' && !joining.has(name) && !detached.has(name));
  return Promise.all(lanes.map(({ name }) => lookAt(runtime, definition, name)));
}

async function lookAt(runtime: LooksRuntime, { pipeline, shape }: Definition, lane: string): Promise<LaneLook> {
  // one that fails is opened anew, which makes a table that was dropped
  const ask = () => runtime.destinations.readFence(pipeline, lane);
  const answered = new AbortController();
  const answer = ask().catch(ask).then((fence) => ({ fence }), (error: Error) => ({ fence: undefined, unknown: error.message }));
  const found = await Promise.race([answer, pause(systemClock, patienceMs, answered.signal).then(() => silence)]);
  answered.abort();
  // a live structure that was lost its own lane makes anew
  if ('unknown' in found || pipeline.sinks[lane]?.kind === 'redis-live') return { lane, ...found };
  const lack = await lackOf({ pipeline: pipeline.name, name: lane, shape: shape.number, log: await runtime.log(pipeline.name) }, found.fence);
  return { lane, ...found, ...(lack && { lack: lack.what }) };
}

const silence = { fence: undefined, unknown: 'it does not answer' };
const patienceMs = 5_000;
