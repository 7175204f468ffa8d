import { writeBacklog } from '../backlog.ts';
import type { Case } from '../case.ts';
import { catchUp } from '../catch-up.ts';
import { compareSamples } from '../compare.ts';
import { fill } from '../fill.ts';
import { catchUpLine } from '../lines.ts';
import { eventsWritten, LoadProcess } from '../load-process.ts';
import { liveRate } from './latency.ts';

const name = 'engagement';
const pausedMs = 10 * 60_000;

export const pause: Case = {
  name: 'pause',
  what: `Twice the events of plain, what ten minutes at ${liveRate.toLocaleString('en')}/s leave behind (written at once, with the event times of ten minutes), are caught up with while a load of that rate goes on.`,
  short: false,
  limitMinutes: 12,

  async *run({ rows, signal, open, compared }) {
    const world = await open();
    const { client, config } = world;
    await world.start(name);
    await world.pause([name]);
    const workload = await world.workload();
    const events = 2 * rows;
    const backlog = await writeBacklog(world, name, async () => ({ events, last: await fill(client, workload, events, signal, pausedMs) }));
    const load = await LoadProcess.start(config, client, liveRate, signal);
    try {
      const before = await eventsWritten(client);
      const caughtUp = await load.during(catchUp(world, [name], { ...backlog, loadPid: load.pid }));
      const live = (await eventsWritten(client)) - before;
      // an event that came meanwhile has cost something too
      const line = catchUpLine('catching up beside the load', backlog, caughtUp, events + live);
      // until there is nothing left that is not new
      const behindAt = performance.now();
      await load.during(world.fences(name).passedNow(client, workload, signal));
      yield { ...line, figures: { 'caught up after s': caughtUp.seconds, 'events beside it': live, 'a new event is everywhere after s': (performance.now() - behindAt) / 1000 } };
    } finally {
      await load.stop();
    }
    compared(await compareSamples(world, workload, [name]));
  },
};
