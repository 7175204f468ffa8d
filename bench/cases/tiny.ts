import { Client } from 'pg';
import type { Lsn } from '../../core/position.ts';
import type { Case } from '../case.ts';
import { compareSamples } from '../compare.ts';
import { writeLast } from '../fill.ts';
import type { Workload } from '../load/workload.ts';
import { writerName } from '../meter.ts';
import { measureRound } from '../rounds.ts';
import type { World } from '../world.ts';

const name = 'engagement';
const writers = 4;

export const tiny: Case = {
  name: 'tiny',
  what: 'As plain, of a twentieth of the events, each of which is a transaction of its own.',
  short: true,
  limitMinutes: 8,
  slower: 'of each transaction the source sends a begin and a commit too, and each has a position and a commit time of its own',

  async *run({ rows, open, compared }) {
    const world = await open();
    await world.start(name);
    const workload = await world.workload();
    const events = Math.ceil(rows / 20);
    yield await measureRound(world, name, 'one event a transaction', async () => ({ events, last: await writeTiny(world, workload, events) }));
    compared(await compareSamples(world, workload, [name]));
  },
};

/** By several connections that do not wait for the disk: what is measured is reading. */
async function writeTiny(world: World, workload: Workload, events: number): Promise<Lsn> {
  const clients = Array.from({ length: writers }, () => new Client({ connectionString: world.config.sourceUrl, application_name: writerName, options: '-c synchronous_commit=off' }));
  let left = events - 1;
  const write = async (client: Client) => {
    client.on('error', () => {}); // the next query says it
    await client.connect();
    while (left-- > 0) {
      world.signal.throwIfAborted();
      await workload.insert(client, [Date.now()]);
    }
  };
  try {
    await Promise.all(clients.map(write));
  } finally {
    await Promise.allSettled(clients.map((client) => client.end()));
  }
  return writeLast(world.client, () => workload.insert(world.client, [Date.now()]));
}
