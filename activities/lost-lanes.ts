import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { pause } from '../core/clock.ts';
import { lanesOf } from '../core/define/lanes.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { LaneLook } from '../core/recovery-plan.ts';
import { lackOf } from './lane-loop.ts';
import type { Definition, Runtime } from './runtime.ts';

type LooksRuntime = Pick<Runtime, 'state' | 'definition' | 'destinations' | 'log'>;

/** Every destination is asked where it is, and the spool whether it goes on from there. One that is being added, or was let go, is for apply to fill. */
export async function lookAtLanes(runtime: LooksRuntime, pipeline: string): Promise<readonly LaneLook[]> {
  const definition = await runtime.definition(pipeline);
  // takes notice of what another process has appended
  await (await runtime.log(pipeline)).tail();
  const elsewhere = async () => new Set([...(await readJoining(runtime.state, pipeline)).keys(), ...(await readDetached(runtime.state, pipeline)).keys()]);
  const before = await elsewhere();
  const lanes = lanesOf(definition.pipeline).filter(({ name, reads }) => reads === 'segments' && !before.has(name));
  const looks = await Promise.all(lanes.map(({ name }) => lookAt(runtime, definition, name)));
  // let go meanwhile: nothing was kept for it any more
  const since = await elsewhere();
  return looks.filter(({ lane }) => !since.has(lane));
}

async function lookAt(runtime: LooksRuntime, { pipeline, shape }: Definition, lane: string): Promise<LaneLook> {
  const place = { pipeline: pipeline.name, name: lane, shape: shape.number, log: await runtime.log(pipeline.name) };
  for (let found = await answerOf(runtime, pipeline, lane); ; ) {
    // a live structure that was lost its own lane makes anew
    if ('unknown' in found || pipeline.sinks[lane]?.kind === 'redis-live') return { lane, ...found };
    const lack = await lackOf(place, found.fence);
    if (!lack) return { lane, ...found };
    const now = await answerOf(runtime, pipeline, lane);
    if (!('unknown' in now) && now.fence === found.fence) return { lane, ...now, lack: lack.what };
    // its lane is at work, and the spool may have forgotten just what that has got since
    found = now;
  }
}

async function answerOf({ destinations }: LooksRuntime, pipeline: Pipeline, lane: string): Promise<Pick<LaneLook, 'fence' | 'unknown'>> {
  // one that fails is opened anew, which makes a table that was dropped
  const ask = () => destinations.readFence(pipeline, lane);
  const answered = new AbortController();
  const answer = ask().catch(ask).then((fence) => ({ fence }), (error: Error) => ({ fence: undefined, unknown: error.message }));
  const found = await Promise.race([answer, pause(systemClock, patienceMs, answered.signal).then(() => silence)]);
  answered.abort();
  return found;
}

const silence = { fence: undefined, unknown: 'it does not answer' };
const patienceMs = 5_000;
