import { followBootstrap, startBootstrap } from '../client/bootstrap.ts';
import { needsOtherWorker } from '../core/bootstrap.ts';
import { DidNotStrike, struckMs } from './fault.ts';
import { epochOf } from './load-anew.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/**
 * As `./sluice apply NAME`: a worker that has read what stood in pipelines/ before is started anew first. What a fault beside this one stops is
 * typed again. Returns what it said, over all tries.
 */
export async function applied(world: World, choice: { readonly allow: boolean }, signal: AbortSignal): Promise<readonly string[]> {
  let before: number | undefined;
  let after: number | undefined;
  const said = new Set<string>();
  const done = async () => {
    before ??= await epochOf(world);
    const { workflowId } = await startBootstrap(world.config, { pipeline: world.name, ...(choice.allow ? { allow: true } : {}) });
    const status = await followBootstrap(world.config, workflowId, () => {}, signal);
    for (const sentence of status.said) said.add(sentence);
    if (status.state === 'done') {
      after = await epochOf(world);
      return true;
    }
    if (!needsOtherWorker(status)) throw new Error(status.error ?? `it was ${status.state}`);
    await world.processes.stop('worker');
    await world.processes.start('worker', signal);
    return false;
  };
  await until(`./sluice apply ${world.name}`, done, { timeoutMs: struckMs, everyMs: 500, signal });
  // all would be equal after that, whatever became of what was there
  if (after !== before) throw new DidNotStrike(`It was loaded anew, and not changed in place. It said: ${[...said].join('; ')}`);
  return [...said];
}
