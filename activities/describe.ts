import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { readShard } from '../connectors/postgres/shard-state.ts';
import { assertNotBeingDestroyed } from '../connectors/postgres/state/destroyed.ts';
import { definitionHash } from '../core/define/definition-hash.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { heartbeatMsOf, isToldToStop, stepMsOf } from '../core/heartbeat.ts';
import { failureOf } from './failures.ts';
import type { Runtime } from './runtime.ts';
import type { Description } from './steps.ts';

/** What the workflow must know of the definition that this worker has. */
export async function describe(runtime: Runtime, { pipeline: name }: { readonly pipeline: string }): Promise<Description> {
  try {
    const { pipeline, hash } = await runtime.definition(name);
    const heartbeatMs = heartbeatMsOf(pipeline.settings, runtime.config.heartbeat);
    await assertNotBeingDestroyed(runtime.state, name);
    const shard = await readShard(runtime.state, name);
    const joining = await readJoining(runtime.state, name);
    const isOther = shard?.state === 'streaming' && definitionHash(await runtime.applied(name)) !== definitionHash(pipeline);
    return { lanes: lanesOf(pipeline).filter((lane) => !joining.has(lane.name)), definitionHash: hash, stepMs: stepMsOf(pipeline.settings, heartbeatMs), heartbeatMs, ...(isToldToStop(heartbeatMs) ? { tellsSteps: true } : {}), loaded: shard?.state === 'streaming', repairAfterMs: pipeline.settings.repairAfterMs, ...(isOther ? { isOther } : {}) };
  } catch (error) {
    throw failureOf(error);
  }
}
