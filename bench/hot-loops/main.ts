import { parseArgs } from 'node:util';
import { hotLoops } from './loops.ts';
import { makeSample } from './sample.ts';

/**
 * What the worker's hot loops cost, as multiples of a plain loop over the same bytes on the wire, which is as fast or slow
 * as the machine is just now:
 *   node bench/hot-loops/main.ts [--rows 4000] [--passes 150] [--json]
 * All loops take turns, and of each the best pass counts: what else the machine does makes passes slower, never faster, and a
 * pass is so short that some have a processor to themselves from end to end on a busy machine too.
 */
const { values } = parseArgs({ options: { rows: { type: 'string', default: '4000' }, passes: { type: 'string', default: '150' }, json: { type: 'boolean', default: false } } });
const warmPasses = 5;
const sample = makeSample(Number(values.rows));
const { bytes } = sample;
const loops = { reference: plain, ...hotLoops(sample) };
const best: Record<string, number> = {};
let seen = 0;
for (let pass = 0; pass < Number(values.passes); pass++) {
  for (const [name, loop] of Object.entries(loops)) {
    const startedAt = process.hrtime.bigint();
    seen ^= loop();
    const nanoseconds = Number(process.hrtime.bigint() - startedAt) / sample.rows;
    // the first passes are those of code that is not optimized yet
    if (pass >= warmPasses) best[name] = Math.min(best[name] ?? Number.POSITIVE_INFINITY, nanoseconds);
  }
}
const ratios = Object.fromEntries(Object.keys(loops).slice(1).map((name) => [name, best[name]! / best['reference']!]));
if (values.json) console.log(JSON.stringify({ ratios, nanosecondsPerRow: best, seen }));
else for (const [name, nanoseconds] of Object.entries(best)) console.log(`${name.padEnd(10)} ${nanoseconds.toFixed(0).padStart(6)} ns a row   ${(ratios[name] ?? 1).toFixed(2)} of the plain loop`);

/** FNV-1a over every byte: one that no engine does several of at a time. */
function plain(): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash;
}
