import { simulate } from './simulate.ts';
import type { Item } from './plan.ts';
import { planOf } from './plan.ts';
import { shrunk } from './shrink.ts';

const [from, count] = process.argv.slice(2, 4).map(Number);
/** As planOf. */
const also = process.argv[4];
const how = also === undefined ? {} : { [also]: true };
if (from === undefined || count === undefined || !(count > 0)) throw new TypeError('usage: node test/simulation/main.ts FROM COUNT [rewrites | renames | stalls]');

const began = performance.now();
const kinds = { equal: 0, parked: 0 };
let steps = 0;
for (let seed = from; seed < from + count; seed++) {
  try {
    const outcome = await simulate(planOf(seed, how));
    kinds[outcome.kind]++;
    steps += outcome.steps;
  } catch (error) {
    console.log(`seed ${seed}: ${error instanceof Error ? error.stack : String(error)}`);
    console.log(`again: node test/simulation/main.ts ${seed} 1${also === undefined ? '' : ` ${also}`}`);
    const { plan, runs, error: smaller } = await shrunk(planOf(seed, how));
    console.log(`shrunk to ${plan.items.length} items in ${runs} runs, which end with ${String(smaller)}:\n${JSON.stringify(plan.knobs)}\n${plan.items.map(shown).join('\n')}`);
    process.exit(1);
  }
}
console.log(JSON.stringify({ from, count, ...kinds, steps, cpuSeconds: Math.round(process.cpuUsage().user / 1e5) / 10, seconds: Math.round((performance.now() - began) / 100) / 10 }));

function shown(item: Item): string {
  if (item.kind !== 'transaction') return JSON.stringify(item);
  return `{"atMs":${item.atMs},"kind":"transaction","openMs":${item.openMs}} of ${item.changes.map(({ kind }) => kind).join(', ')}`;
}
