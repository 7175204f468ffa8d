import type { Case } from '../case.ts';
import { compareByVerify } from '../compare.ts';
import { fillMade } from '../made-rows.ts';
import { columnsTable } from '../pipelines/columns.ts';
import { measureRound } from '../rounds.ts';

const name = 'columns_50';

export const wide: Case = {
  name: 'wide',
  what: 'Rows of 50 columns and 2 kB, a fifth of the events of plain, to all kinds of sinks. Compared by verify.',
  short: false,
  limitMinutes: 10,
  slower: 'an event has six times the columns and seven times the bytes of a plain one',

  async *run({ rows, signal, open, compared }) {
    const table = columnsTable(50);
    const events = Math.ceil(rows / 5);
    const world = await open({ own: true, sql: table.sql });
    await world.start(name);
    yield await measureRound(world, name, '50 columns, 2 kB', async () => ({ events, last: await fillMade(world.client, table, events, signal) }));
    compared(await compareByVerify(world, name));
  },
};
