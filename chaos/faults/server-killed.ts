import type { Fault } from '../fault.ts';
import type { ProcessName } from '../processes.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';
import { needs } from './kill.ts';

/** A server that dies in the middle of whatever it does; its supervisor starts it again on the same files. */
function killed(family: string, process: ProcessName, title: string, expected: string, unfit?: (world: World) => string | undefined): Fault {
  return {
    name: `${family}/killed`,
    what: `${title} is killed (SIGKILL) under load, and started again.`,
    expected,
    drawn: true,
    ...(unfit && { unfit }),
    async strike(world, _, signal) {
      const pid = await world.processes.kill(process, signal);
      await until(`${process} to be started again`, () => world.processes.identity(process) !== undefined, { timeoutMs: 30_000, signal });
      await world.processes.answers(process, signal);
      return { evidence: `process ${pid} was killed, ${world.processes.pid(process)} took its place` };
    },
  };
}

export const serverKills: readonly Fault[] = [
  killed('temporal', 'temporal', 'The Temporal server', 'Its workflows go on where they were.'),
  killed('source', 'postgres', 'PostgreSQL, in which source and state are,', 'It recovers what was committed. The capture comes back to a slot that may have been set back, and takes nothing twice; lanes go on at their fences.'),
  killed('redis', 'redis', 'Redis', 'It comes back without its last second at most: lanes go back to the fences that it has, or make its structures again.', (world) => (world.laneOf('redis-live') ?? world.laneOf('redis-results')) === undefined ? `Pipeline ${world.name} has no lane for Redis.` : undefined),
  killed('clickhouse', 'clickhouse', 'ClickHouse', 'What it had answered is on its disk (E10); what it had not is inserted again at the same positions.', needs('clickhouse')),
];
