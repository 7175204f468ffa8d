import { writeBacklog } from '../backlog.ts';
import type { Case } from '../case.ts';
import { catchUp } from '../catch-up.ts';
import { compareSamples } from '../compare.ts';
import { catchUpLine } from '../lines.ts';
import { five as pipelines } from '../pipelines/settings.ts';
import { fillSample } from '../rounds.ts';

const names = pipelines.map(({ name }) => name);

export const five: Case = {
  name: 'five',
  what: 'Five pipelines like plain on one source, each with a slot of its own that decodes everything, catch up at once with half the events of plain. Rate and costs are of delivered events: five for each that was written.',
  short: false,
  limitMinutes: 15,

  async *run({ rows, open, compared }) {
    const world = await open({ own: true });
    await world.start(...names);
    await world.pause(names);
    const backlog = await writeBacklog(world, names[0]!, await fillSample(world, Math.ceil(rows / 2)));
    const delivered = names.length * backlog.events;
    const line = catchUpLine('five pipelines', backlog, await catchUp(world, names, backlog), delivered);
    yield { ...line, figures: { 'written events/s': line.rate! / names.length } };
    compared(await compareSamples(world, await world.workload(), names));
  },
};
