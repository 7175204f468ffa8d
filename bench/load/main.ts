import { parseArgs } from 'node:util';
import { BadInput } from '../../core/bad-input.ts';
import { settings } from '../../core/config.ts';
import { EngagementWorkload } from './engagement.ts';
import { type LoadFlags, loadFlags, parseLoadOptions, type WorkloadName, workloadNames } from './options.ts';
import { type LoadResult, rateOf, runLoad } from './run.ts';
import { TrendingWorkload } from './trending.ts';
import type { Workload } from './workload.ts';

/** The load generator. Finds its database in SLUICE_SOURCE_URL; `./sluice load` and the supervisor start it. */
const workloads: Record<WorkloadName, (seed: number) => Workload> = {
  engagement: (seed) => new EngagementWorkload(seed),
  trending: (seed) => new TrendingWorkload(seed),
};

/** The same content, users and titles each time. */
const seed = 20_261;

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof BadInput ? 2 : 1;
}

async function main(): Promise<void> {
  const flags = Object.fromEntries(loadFlags.map((name) => [name, { type: 'string' as const }]));
  const options = parseLoadOptions(parseArgs({ options: flags }).values as LoadFlags);
  const url = process.env[settings.sourceUrl.variable];
  if (!url) throw new Error(`${settings.sourceUrl.variable} is not set. Start an instance with ./sluice up, and write to it with ./sluice load`);
  const names = options.pipeline ? [options.pipeline] : workloadNames;
  // one that fails ends the others: a half of the load would look like a whole one
  const failed = new AbortController();
  const signal = AbortSignal.any([stopped.signal, failed.signal]);
  await Promise.all(
    names.map(async (name) => {
      const say = (line: string) => console.log(`${name.padEnd(12)} ${line}`);
      try {
        const result = await runLoad({
          url,
          workload: workloads[name](seed),
          load: options,
          signal,
          reportMs: options.pipeline ? 5_000 : 60_000,
          onReport: (part) => say(describe(part)),
        });
        say(`${describe(result)}: all in ${result.seconds.toFixed(1)} s${options.rate > 0 ? `, asked for ${options.rate}/s` : ''}`);
      } catch (error) {
        failed.abort();
        throw error;
      }
    }),
  );
}

function describe(result: LoadResult): string {
  const count = (n: number) => n.toLocaleString('en');
  const { inserts, late, updates, deletes, renames } = result;
  return `${count(Math.round(rateOf(result)))}/s (${count(inserts)} inserts, ${count(late)} of them late, ${count(updates)} updates, ${count(deletes)} deletes, ${count(renames)} renames)`;
}
