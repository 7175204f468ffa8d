import { struckMs } from './fault.ts';
import { until } from './until.ts';
import type { World } from './world.ts';

/** Messages that the receiver was sent though it had taken them. */
export async function duplicates({ config }: World): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${config.receiverPort}/counts`, { signal: AbortSignal.timeout(10_000) });
  return ((await response.json()) as { duplicates: number }).duplicates;
}

/** That messages which were taken came once more, with the ids that they had (E12). */
export async function sentOnceMore(world: World, before: number, signal: AbortSignal): Promise<string> {
  let more = 0;
  const repeated = async () => {
    more = (await duplicates(world)) - before;
    return more > 0;
  };
  await until('messages that were taken to come again with their ids', repeated, { timeoutMs: struckMs, everyMs: 200, signal });
  return `${more} of them came again with the same id, and were not taken twice`;
}
