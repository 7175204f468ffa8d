import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { scenarios } from './scenarios.ts';

/**
 * Records the histories of a release, which every later one must be able to go on from:
 * `TEMPORAL_ADDRESS=host:port node test/replay/record.ts 0.1.0`, or only what was added: `… 0.1.0 fresh-run`
 */
const [, , release, only] = process.argv;
const address = process.env['TEMPORAL_ADDRESS'];
if (!release || !address) {
  console.error('usage: TEMPORAL_ADDRESS=host:port node test/replay/record.ts RELEASE [SCENARIO]');
  process.exit(1);
}
const folder = join(import.meta.dirname, 'histories', release);
await mkdir(folder, { recursive: true });
for (const [name, scenario] of Object.entries(scenarios)) {
  if (only !== undefined && name !== only) continue;
  const histories = await scenario(address);
  for (const [index, history] of histories.entries()) {
    const file = join(folder, `${name}${histories.length > 1 ? `-${index + 1}` : ''}.json`);
    await writeFile(file, JSON.stringify(JSON.parse(historyToJSON(history as never), withoutPlace), undefined, 1));
    console.log(file);
  }
}
process.exit(0);

/** A history is the same wherever it was recorded. */
function withoutPlace(key: string, value: unknown): unknown {
  if (key === 'stackTrace') return '';
  // identities, and the sticky queues that are named by them
  return typeof value === 'string' && /^\d+@\S+$/.test(value) ? 'worker' : value;
}
