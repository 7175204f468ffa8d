import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { quoteRelation } from '../../connectors/postgres/source-catalog.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { sampleTables } from '../random-transactions.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const hourMs = 3_600_000;

const hourOff: Fault = {
  name: 'time/hour-early-and-late',
  what: 'Forty events come an hour early, forty an hour late.',
  expected: 'Views set both aside, counted: the early ones as future, the others as late; row lanes have them; together it is what SQL says (E13, E14).',
  drawn: true,
  unfit: ofSample,
  async strike(world, _, signal) {
    const { insert } = sampleTables[world.name]!;
    const nowMs = Date.now();
    const count = await asideBy(world);
    await world.source.query(insert, [-hourMs, 40]);
    await world.source.query(insert, [hourMs, 40]);
    let evidence = '';
    await until('the events to be set aside', async () => {
      const now = await asideBy(world);
      const early = now('future', nowMs + hourMs - 60_000, nowMs + hourMs + 60_000) - count('future', nowMs + hourMs - 60_000, nowMs + hourMs + 60_000);
      const late = now('late', nowMs - hourMs - 60_000, nowMs - hourMs + 60_000) - count('late', nowMs - hourMs - 60_000, nowMs - hourMs + 60_000);
      evidence = `${early} changes of panes were set aside as future, ${late} as late`;
      return early > 0 && late > 0;
    }, { timeoutMs: struckMs, everyMs: 200, signal });
    return { evidence };
  },
};

const year9999: Fault = {
  name: 'time/year-9999',
  what: 'One event is of the year 9999.',
  expected: 'It closes no window: the clock is bounded by the time of its commit (E13).',
  drawn: true,
  unfit: ofSample,
  async strike(world, _, signal) {
    const { insert } = sampleTables[world.name]!;
    const year = Date.UTC(9999, 5, 1);
    await world.source.query(insert.replaceAll('$1', '$1::float8'), [Date.now() - year, 1]);
    await until('the event to be set aside', async () => (await asideBy(world))('future', year - 86_400_000, year + 86_400_000) > 0, { timeoutMs: struckMs, everyMs: 200, signal });
    const windows = await newestWindow(world);
    const clock = await clockMs(world);
    if (clock > Date.now() + 60_000) throw new Error(`The clock of the windows is at ${new Date(clock).toISOString()}.`);
    await until('another window to close in its time', async () => (await newestWindow(world)) > windows, { timeoutMs: struckMs, everyMs: 200, signal });
    return { evidence: `it was set aside; the clock of the windows stood at ${new Date(clock).toISOString()}, and the next window closed in its time` };
  },
};

const idleWatermark: Fault = {
  name: 'time/idle-watermark',
  what: 'Nothing is written to the pipeline\'s tables for some seconds.',
  expected: 'The watermark goes on by the canary\'s clock, and windows close (E13).',
  drawn: true,
  async strike(world, _, signal) {
    const evidence = await world.load.pausedWhile(async () => {
      const { events } = world.pipeline.source;
      const rows = async () => (await world.source.query<{ count: string }>(`select count(*)::text as count from ${quoteRelation(events.relation)}`)).rows[0]!.count;
      await untilNobodyWrites(world, signal);
      const [before, clock, window] = [await rows(), await clockMs(world), await newestWindow(world)];
      await until('the watermark to go on', async () => (await clockMs(world)) > clock + 12_000, { timeoutMs: struckMs, everyMs: 200, signal });
      await until('a window to close', async () => (await newestWindow(world)) > window, { timeoutMs: 30_000, everyMs: 200, signal });
      if ((await rows()) !== before) throw new DidNotStrike('Somebody wrote to the table meanwhile.');
      return `with ${before} rows from beginning to end, the clock of the windows went on by more than 12 s, and a window closed`;
    });
    return { evidence };
  },
};

const longTransaction: Fault = {
  name: 'time/long-transaction',
  what: 'A transaction takes 50 s beside others; 25 of its rows are of its beginning, 25 are 20 s older.',
  expected: 'The former revise windows that were published, the latter are late: counted, in the late output; together it is what SQL says (E13, E14).',
  drawn: false,
  unfit: ofSample,
  async strike(world, _, signal) {
    const { insert } = sampleTables[world.name]!;
    const client = await world.source.connect();
    const beganMs = Date.now();
    try {
      await client.query('begin');
      await client.query(insert, [0, 25]);
      await client.query(insert, [20_000, 25]);
      await sleep(50_000, undefined, { signal });
      await client.query('commit');
      client.release();
    } catch (error) {
      client.release(true);
      throw error;
    }
    let late = 0;
    await until('its rows to be counted as late', async () => {
      late = (await asideBy(world))('late', beganMs - 31_000, beganMs - 9_000);
      return late > 0;
    }, { timeoutMs: struckMs, everyMs: 200, signal });
    return { evidence: `it was committed ${((Date.now() - beganMs) / 1000).toFixed(0)} s after its beginning, and ${late} changes of panes of its time were late` };
  },
};

const workerClock: Fault = {
  name: 'time/worker-clock',
  what: 'The clock of the worker is wrong by an hour, forwards and then backwards, for 15 s each.',
  expected: 'Windows, watermark and fences go on as ever: no decision is made by the worker\'s clock (I6). A receiver that checks the time of signatures parks the HTTP lane with a sentence, which is resumed when the clock is right.',
  drawn: false,
  async strike(world, _, signal) {
    const file = join(world.config.dataDir, 'clock-shift');
    const said: string[] = [];
    const signed = [world.laneOf('http')].filter((lane) => lane !== undefined);
    try {
      for (const shiftMs of [hourMs, -hourMs]) {
        await writeFile(file, String(shiftMs));
        const log = world.log('worker');
        await world.processes.stop('worker');
        await world.processes.start('worker', signal);
        await log.line(new RegExp(`the clock of this worker is wrong by ${shiftMs} ms`), signal);
        const [clock, window] = [await clockMs(world), await newestWindow(world)];
        await until('the watermark to go on', async () => (await clockMs(world)) > clock + 12_000, { timeoutMs: struckMs, everyMs: 200, signal });
        await until('a window to close', async () => (await newestWindow(world)) > window, { timeoutMs: 30_000, everyMs: 200, signal });
        const off = Math.abs((await clockMs(world)) - Date.now());
        if (off > 60_000) throw new Error(`With the worker's clock off by ${shiftMs} ms, the clock of the windows is off by ${off} ms.`);
        const http = world.laneOf('http');
        if (http !== undefined) await world.untilParked(http, /does not accept our signature.*clock/, signal);
        said.push(`${shiftMs / 60_000} min: the clock of the windows was ${Math.round(off)} ms behind${http === undefined ? '' : ', the HTTP lane was parked'}`);
        await world.resumeParked(signed, signal);
      }
    } finally {
      await rm(file, { force: true });
      await world.processes.stop('worker');
      await world.processes.start('worker', signal);
    }
    await world.resumeParked(signed, signal);
    return { evidence: `worker off by ${said.join(', by ')}` };
  },
};

export const timeFaults: readonly Fault[] = [hourOff, year9999, idleWatermark, longTransaction, workerClock];

/** The load is paused, but for what it had begun; stopped in the middle of a transaction, it ends that later. */
async function untilNobodyWrites(world: World, signal: AbortSignal): Promise<void> {
  let quietLooks = 0;
  const quiet = async () => {
    const { rows } = await world.source.query("select from pg_stat_activity where (application_name = 'sluice chaos load' and state <> 'idle') or (application_name = 'sluice load' and state = 'active')");
    quietLooks = rows.length === 0 ? quietLooks + 1 : 0;
    return quietLooks === 5;
  };
  await until('running transactions to end', quiet, { timeoutMs: struckMs, everyMs: 200, signal });
}

export function ofSample(world: World): string | undefined {
  return Object.hasOwn(sampleTables, world.name) ? undefined : `It needs the tables of a sample pipeline, not those of ${world.name}.`;
}

type Aside = (reason: 'late' | 'future', fromMs: number, toMs: number) => number;

/** How many changes of panes in a time were set aside, and for which reason. */
export async function asideBy(world: World): Promise<Aside> {
  const { rows } = await world.state.query<{ pane: string; reason: string }>('select pane_ms::text as pane, reason from sluice.late where pipeline = $1', [world.name]);
  return (reason, fromMs, toMs) => rows.filter((row) => row.reason === reason && Number(row.pane) >= fromMs && Number(row.pane) <= toMs).length;
}

/** The running maximum of event time that windows go by. */
async function clockMs(world: World): Promise<number> {
  const { rows } = await world.state.query<{ us: string | null }>('select clock_us::text as us from sluice.aggregate where pipeline = $1', [world.name]);
  return Number(rows[0]?.us ?? 0) / 1000;
}

async function newestWindow(world: World): Promise<number> {
  const { rows } = await world.state.query<{ end: string | null }>('select max(window_end_ms)::text as end from sluice.published_window where pipeline = $1', [world.name]);
  return Number(rows[0]?.end ?? 0);
}
