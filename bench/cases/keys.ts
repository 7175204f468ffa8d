import type { Case } from '../case.ts';
import { checkKeys } from '../keys-exactness.ts';
import { fillMade } from '../made-rows.ts';
import { keysTable } from '../pipelines/keys.ts';
import { measureRound } from '../rounds.ts';

const name = 'keys';

export const keys: Case = {
  name: 'keys',
  what: 'Ten times the events of plain, each of a key of its own (ten million), through two views and to all kinds of sinks.',
  short: false,
  limitMinutes: 25,
  slower: 'nothing can be summed up: each event is a pane in the state database, a member and a hash in Redis',

  async *run({ rows, signal, open, compared }) {
    const events = 10 * rows;
    const table = keysTable(events);
    const world = await open({ own: true, sql: table.sql });
    await world.start(name);
    yield await measureRound(world, name, `${events.toLocaleString('en')} keys`, async () => ({ events, last: await fillMade(world.client, table, events, signal) }));
    await world.pause([name]);
    compared(await checkKeys(world.config, world.fences(name).pipeline));
  },
};
