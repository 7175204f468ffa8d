import type { Case, Line } from '../case.ts';
import { profiledCatchUp } from '../catch-up.ts';
import { writeBacklog } from '../backlog.ts';
import { compareSamples } from '../compare.ts';
import { fill } from '../fill.ts';
import { medianLine } from '../lines.ts';
import { measureRound } from '../rounds.ts';

const name = 'engagement';

export const medianName = 'median';

export const plain: Case = {
  name: 'plain',
  what: 'The sample pipeline with all of its sinks catches up with events that were written while it was paused; beside it, in the same round and of the same changes, bare receiving and pg_recvlogical to /dev/null.',
  short: true,
  limitMinutes: 15,

  async *run(context) {
    const world = await context.open();
    await world.start(name);
    const workload = await world.workload();
    const write = async () => ({ events: context.rows, last: await fill(world.client, workload, context.rows, context.signal) });
    const rounds: Line[] = [];
    for (let round = 1; round <= context.rounds; round++) {
      const line = await measureRound(world, name, `round ${round}`, write);
      rounds.push(line);
      yield line;
    }
    yield medianLine(medianName, rounds);
    if (context.profile !== undefined) {
      await world.pause([name]);
      context.profiled(await profiledCatchUp(world, name, await writeBacklog(world, name, write), context.profile));
    }
    context.compared(await compareSamples(world, workload, [name]));
  },
};
