import { writeBacklog } from '../backlog.ts';
import type { Case, Line } from '../case.ts';
import { catchUp } from '../catch-up.ts';
import { compareSamples } from '../compare.ts';
import { catchUpLine, medianLine } from '../lines.ts';
import { largeBatches, smallBatches } from '../pipelines/settings.ts';
import { fillSample } from '../rounds.ts';

const settings = [
  { pipeline: smallBatches.name, what: '5,000 rows or 1 MiB, linger 10 ms, gathering 50 ms' },
  { pipeline: 'engagement', what: '50,000 rows or 8 MiB, linger 50 ms, gathering 250 ms' },
  { pipeline: largeBatches.name, what: '200,000 rows or 32 MiB, linger 250 ms, gathering 1 s' },
];
const names = settings.map(({ pipeline }) => pipeline);
const rounds = 3;

export const batches: Case = {
  name: 'batches',
  what: `As plain, of half the events, at three settings of segments, lingering and gathering: pg_recvlogical, bare receiving and the three, one after another on the same changes, ${rounds} times. Medians.`,
  short: false,
  limitMinutes: 15,

  async *run({ rows, open, compared, say }) {
    const world = await open({ own: true });
    await world.start(...names);
    const write = await fillSample(world, Math.ceil(rows / 2));
    const measured = new Map<string, Line[]>(settings.map(({ what }) => [what, []]));
    for (let round = 1; round <= rounds; round++) {
      await world.pause(names);
      const backlog = await writeBacklog(world, 'engagement', write);
      for (const { pipeline, what } of settings) {
        const line = catchUpLine(what, backlog, await catchUp(world, [pipeline], backlog));
        await world.pause([pipeline]);
        say(`round ${round}, ${what}: ${Math.round(line.rate!).toLocaleString('en')}/s`);
        measured.get(what)!.push(line);
      }
    }
    for (const [what, lines] of measured) yield medianLine(what, lines);
    compared(await compareSamples(world, await world.workload(), names));
  },
};
