import { setTimeout as sleep } from 'node:timers/promises';
import { recoverPipeline } from '../../client/recoveries.ts';
import { DidNotStrike, type Fault } from '../fault.ts';
import { epochOf } from '../load-anew.ts';
import { needs } from './kill.ts';

const tooManyParts: Fault = {
  name: 'clickhouse/too-many-parts',
  what: 'Merges are stopped and parts_to_throw_insert is 1 for 10 s, so that ClickHouse refuses inserts with TOO_MANY_PARTS.',
  expected: 'The lane says so and tries again; its segments wait in the spool.',
  drawn: true,
  unfit: needs('clickhouse'),
  async strike(world, _, signal) {
    const lane = world.laneOf('clickhouse')!;
    const sink = world.pipeline.sinks[lane]!;
    const { table } = sink as Extract<typeof sink, { kind: 'clickhouse' }>;
    const command = (query: string) => world.clickhouse.command({ query });
    try {
      await command(`SYSTEM STOP MERGES ${table}`);
      await command(`ALTER TABLE ${table} MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 1`);
      const said = await world.untilFailing(lane, /TOO_MANY_PARTS/, signal);
      await sleep(10_000, undefined, { signal });
      return { evidence: `the lane said: ${said}` };
    } finally {
      await command(`ALTER TABLE ${table} RESET SETTING parts_to_throw_insert, parts_to_delay_insert`);
      await command(`SYSTEM START MERGES ${table}`);
    }
  },
};

const dropped: Fault = {
  name: 'clickhouse/table-dropped',
  what: 'The table in ClickHouse is dropped under load, with all rows.',
  expected: 'Its lane parks and says so; by the command that its sentence names, all of its rows are written again while everything else goes on.',
  drawn: true,
  alone: true,
  forgets: true,
  unfit: needs('clickhouse'),
  async strike(world, _, signal) {
    const lane = world.laneOf('clickhouse')!;
    const sink = world.pipeline.sinks[lane]!;
    const { table } = sink as Extract<typeof sink, { kind: 'clickhouse' }>;
    await world.clickhouse.command({ query: `DROP TABLE ${table} SYNC` });
    const sentence = await world.untilParked(lane, /\.\/sluice recover/, signal);
    const before = await epochOf(world);
    const { plan, rows } = await recoverPipeline(world.config, world.name, { approve: async () => true });
    if (plan?.lanes?.join() !== lane || (await epochOf(world)) !== before) throw new DidNotStrike(`All of it was loaded anew: ${plan?.gap}`);
    return { evidence: `the lane said: ${sentence} Its rows were written again out of ${rows} of the source` };
  },
};

export const clickhouseFaults: readonly Fault[] = [tooManyParts, dropped];
