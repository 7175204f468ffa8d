import type { Case } from '../case.ts';
import { compareByVerify } from '../compare.ts';
import { eventTimes, defaultSpreadMs, writeLast } from '../fill.ts';
import type { Writing } from '../backlog.ts';
import type { Workload } from '../load/workload.ts';
import { measureRound } from '../rounds.ts';
import type { World } from '../world.ts';

const name = 'engagement';

/** Of a thousand events, in three transactions. */
const inserts = 500;
const updates = 300;
const deletes = 200;

export const updatesDeletes: Case = {
  name: 'updates-deletes',
  what: 'As plain, of half as many events: 50 % inserts, 30 % updates, 20 % deletes of recent rows, under REPLICA IDENTITY FULL. Compared by verify.',
  short: false,
  limitMinutes: 10,

  async *run({ rows, open, compared }) {
    const world = await open();
    await world.start(name);
    yield await measureRound(world, name, 'half of them change or remove', mixed(world, await world.workload(), Math.ceil(rows / 2)));
    compared(await compareByVerify(world, name));
  },
};

function mixed({ client, signal }: World, workload: Workload, atLeast: number): Writing {
  return async () => {
    let events = 1;
    while (events < atLeast) {
      signal.throwIfAborted();
      events += await workload.insert(client, eventTimes(inserts, Date.now() - defaultSpreadMs * (1 - events / atLeast)));
      events += await workload.update(client, updates);
      events += await workload.delete(client, deletes);
    }
    return { events, last: await writeLast(client, () => workload.insert(client, [Date.now()])) };
  };
}
