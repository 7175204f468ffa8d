import type { KillPoint } from '../../core/kill-point.ts';
import { DidNotStrike, type Fault, type Struck } from '../fault.ts';
import { epochOf } from '../load-anew.ts';
import { duplicates, sentOnceMore } from '../sent-once-more.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

type Killed = { readonly name: string; readonly point: KillPoint; readonly where: string; readonly expected: string; readonly unfit?: (world: World) => string | undefined; /** Of many lanes or changes that pass the point, another one each time. */ readonly any?: true };

const again = 'The supervisor starts the worker again, and its steps run again from the fences.';

const killed: readonly Killed[] = [
  { name: 'after-receive', any: true, point: 'capture/received', where: 'when it has received a change and written nothing of it', expected: `${again} The source sends the change once more.` },
  { name: 'before-link', point: 'spool/synced', where: 'when a segment is synced and not yet linked into the chain', expected: `${again} The file without a name is no segment; the source sends its changes once more.` },
  { name: 'after-link', point: 'spool/linked', where: 'when a segment is linked and its directory not yet synced', expected: `${again} The next capture finds the segment and goes on behind it.` },
  { name: 'after-hand-over', any: true, point: 'lane/handed-over', where: 'when a lane has segments and its sink has seen nothing of them', expected: `${again} The lane reads them from the spool.` },
  {
    name: 'clickhouse-before-fence',
    point: 'clickhouse/inserted',
    where: 'when rows are in ClickHouse and the fence row is not',
    expected: `${again} The rows are inserted once more at the same positions, which changes nothing.`,
    unfit: needs('clickhouse'),
  },
  {
    name: 'http-before-fence',
    point: 'http/accepted',
    where: 'when the receiver has accepted a message and the fence does not say so',
    expected: `${again} The same message with the same id is sent once more.`,
    unfit: needs('http'),
  },
  { name: 'after-sink', any: true, point: 'lane/applied', where: 'when a sink has applied segments and the lane does not know', expected: `${again} The lane asks the sink for its fence and goes on behind it.` },
  { name: 'before-acknowledgement', point: 'capture/acknowledging', where: 'when all fences have moved and the source was not told', expected: `${again} The source is told after the next move of a fence.` },
  { name: 'in-window-close', point: 'window/closing', where: 'while the result of a window is computed', expected: `${again} The transaction is rolled back, and the window closes once.` },
  { name: 'in-relay', point: 'relay/published', where: 'when a relay has published a result and does not know', expected: `${again} The relay asks its destination how far it is.` },
];

/** kill -9 of the worker at named points. */
export const kills: readonly Fault[] = [
  ...killed.map(
    ({ name, point, where, expected, unfit, any }): Fault => ({
      name: `worker/kill-${name}`,
      what: `The worker is killed (SIGKILL) ${where}.`,
      expected,
      drawn: true,
      ...(unfit && { unfit }),
      async strike(world, random, signal) {
        const deathsBefore = world.processes.endings('worker').length;
        const duplicatesBefore = point === 'http/accepted' ? await duplicates(world) : 0;
        await world.killOrders.arm(point, { passes: any ? random.below(8) : 0 });
        const struck = await dead(world, point, deathsBefore, signal);
        return point === 'http/accepted' ? { ...struck, after: () => sentOnceMore(world, duplicatesBefore, signal) } : struck;
      },
    }),
  ),
  ...(
    [
      ['in-first-load', 'load/chunk', 'while the first load is going on', 'The load is given up: its slot is dropped, the epoch rises, and it begins anew.'],
      ['at-handoff', 'load/handoff', 'when every sink has the first load and the pipeline does not count as loaded', 'The load begins anew under a higher epoch; what the first one wrote does not count.'],
    ] as const
  ).map(
    ([name, point, where, expected]): Fault => ({
      name: `worker/kill-${name}`,
      what: `The pipeline is loaded anew, and the worker is killed (SIGKILL) ${where}.`,
      expected,
      drawn: true,
      alone: true,
      forgets: true,
      async strike(world, random, signal) {
        const deathsBefore = world.processes.endings('worker').length;
        // each sink gets a chunk of a dimension and one of the events at least
        const passes = point === 'load/chunk' ? random.below(2 * world.fences.lanes.length) : 0;
        const before = await epochOf(world);
        await world.loadAnew(signal, () => world.killOrders.arm(point, { passes }));
        const struck = await dead(world, point, deathsBefore, signal);
        const after = async () => {
          const loads = (await epochOf(world)) - before;
          if (loads < 2) throw new DidNotStrike(`It was loaded ${loads} times.`);
          return `it was loaded ${loads} times, each under an epoch of its own`;
        };
        return { ...struck, after };
      },
    }),
  ),
];

/** Evidence: the process wrote the point's name, and then its supervisor saw it die by SIGKILL. */
export async function dead(world: World, point: KillPoint, deathsBefore: number, signal: AbortSignal): Promise<Struck> {
  const struck = await world.killOrders.struck(signal);
  world.processes.ordered('worker', 'SIGKILL');
  if (struck.point !== point) throw new DidNotStrike(`The worker was to die at ${point}, and passed ${struck.point}.`);
  await until('the death of the worker', () => world.processes.endings('worker').length > deathsBefore, { timeoutMs: 10_000, everyMs: 5, signal });
  const last = world.processes.endings('worker').at(-1);
  if (last !== 'SIGKILL') throw new DidNotStrike(`The worker ended by ${last}, not by SIGKILL.`);
  return { evidence: `process ${struck.pid} wrote ${point}${struck.lane === undefined ? '' : ` (${struck.lane})`} and died of SIGKILL` };
}

export function needs(kind: World['pipeline']['sinks'][string]['kind']): (world: World) => string | undefined {
  return (world) => (world.laneOf(kind) === undefined ? `Pipeline ${world.name} has no ${kind} sink.` : undefined);
}
