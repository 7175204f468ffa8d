import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.ts';
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

export const clickhouseFaults: readonly Fault[] = [tooManyParts];
