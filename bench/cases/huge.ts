import type { Lsn } from '../../core/position.ts';
import type { Case } from '../case.ts';
import { compareSamples } from '../compare.ts';
import { defaultSpreadMs, eventTimes, transactionRows, writeLast } from '../fill.ts';
import type { Workload } from '../load/workload.ts';
import { measureRound } from '../rounds.ts';
import type { World } from '../world.ts';

const name = 'engagement';

/** Of the longest one, for the goal of memory. */
export const fiveMillions = 'five times as many';

export const huge: Case = {
  name: 'huge',
  what: 'As plain, all events in one transaction; --full also in one of five times as many.',
  short: true,
  limitMinutes: 20,

  async *run({ rows, full, open, compared }) {
    for (const [line, events] of [['one transaction', rows], [fiveMillions, 5 * rows]] as const) {
      if (events > rows && !full) continue;
      const world = await open();
      await world.start(name);
      const workload = await world.workload();
      yield await measureRound(world, name, line, async () => ({ events, last: await writeHuge(world, workload, events) }));
      compared(await compareSamples(world, workload, [name]));
    }
  },
};

async function writeHuge({ client, signal }: World, workload: Workload, events: number): Promise<Lsn> {
  await client.query('begin');
  for (let written = 0; written < events - 1; written += transactionRows) {
    signal.throwIfAborted();
    await workload.insert(client, eventTimes(Math.min(transactionRows, events - 1 - written), Date.now() - defaultSpreadMs * (1 - written / events)));
  }
  await client.query('commit');
  return writeLast(client, () => workload.insert(client, [Date.now()]));
}
