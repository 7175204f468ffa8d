import type { Item, Plan } from './plan.ts';
import { simulate } from './simulate.ts';

/** A smaller schedule that fails too: items are left out as long as some violation remains, large parts first. */
export async function shrunk(plan: Plan): Promise<{ plan: Plan; error: unknown; runs: number }> {
  let { items } = plan;
  let error = await failureOf(plan);
  let runs = 1;
  const endsAt = performance.now() + mostMs;
  for (let size = Math.ceil(items.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < items.length && performance.now() < endsAt; ) {
      const fewer: readonly Item[] = items.toSpliced(start, size);
      const failure = await failureOf({ ...plan, items: fewer });
      runs++;
      if (failure === undefined) start += size;
      else [items, error] = [fewer, failure];
    }
  }
  return { plan: { ...plan, items }, error, runs };
}

const mostMs = 60_000;

async function failureOf(plan: Plan): Promise<unknown> {
  return simulate(plan).then(
    () => undefined,
    (error: unknown) => error,
  );
}
