import { applied } from '../applied.ts';
import { destinations } from '../destinations.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { editFor, editsOf } from '../laboratory/edits.ts';
import { othersGoOn } from '../others.ts';
import { sampleTables } from '../random-transactions.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';
import { needs } from './kill.ts';
import { ofSample } from './time.ts';

type Detachable = { readonly name: 'redis' | 'clickhouse' | 'http'; readonly title: string; readonly kind: 'redis-live' | 'clickhouse' | 'http'; readonly filled: string; readonly drawn: boolean };

/** E20: what a destination misses is not kept for ever. */
const detachable: readonly Detachable[] = [
  { name: 'redis', title: 'Redis', kind: 'redis-live', filled: 'its structures are made of the panes', drawn: true },
  { name: 'clickhouse', title: 'ClickHouse', kind: 'clickhouse', filled: 'it is filled from the source', drawn: true },
  // every row of the source is sent again
  { name: 'http', title: 'The receiver', kind: 'http', filled: 'it gets the rows of the source again', drawn: false },
];

export const detachedFaults: readonly Fault[] = detachable.map(({ name, title, kind, filled, drawn }): Fault => ({
  name: `${name}/detached`,
  what: `${title} is stopped until the spool, which may have 2 MiB, has kept all that it may for a lane that says onBudget: 'detach'.`,
  expected: `The lane is detached, and the others go on (E20). When its destination is back, it parks and says to type ./sluice apply. Then ${filled}, and it goes on from there.`,
  drawn,
  // whatever else is behind has no room in the spool
  alone: true,
  forgets: true,
  unfit: (world) => ofSample(world) ?? needs(kind)(world),
  async strike(world, _, signal) {
    // one that may not be detached would hold the stream up
    const lanes = Object.entries(world.pipeline.sinks).flatMap(([lane, sink]) => (sink.kind === kind ? [lane] : []));
    const { process } = destinations.find((each) => each.name === name)!;
    const { detaches: __, ...edits } = editsOf(world);
    await editFor(world, { ...edits, detaches: lanes });
    await applied(world, { allow: false }, signal);
    let seconds: number;
    let others: string;
    await world.processes.stop(process!);
    try {
      seconds = await detached(world, lanes, signal);
      others = await othersGoOn(world, name, signal);
    } finally {
      await world.processes.start(process!, signal);
    }
    const sentences: string[] = [];
    for (const lane of lanes) sentences.push(await world.untilParked(lane, /was detached at .*\.\/sluice apply/, signal));
    await editFor(world, edits);
    const said = await applied(world, { allow: false }, signal);
    const joined = lanes.map((lane) => said.find((line) => line.startsWith(`lane ${lane} was detached: `)));
    if (joined.includes(undefined)) throw new DidNotStrike(`It did not join again. It said: ${said.join('; ')}`);
    return { evidence: `detached after ${seconds.toFixed(0)} s${others}; it said: ${sentences.join(' ')} Applied: ${joined.join('; ')}` };
  },
}));

/** Writes beside the load until they are. Returns the seconds that it took. */
async function detached({ name, source, state }: World, lanes: readonly string[], signal: AbortSignal): Promise<number> {
  const { insert } = sampleTables[name]!;
  const startedAt = performance.now();
  const done = async () => {
    await source.query(insert, [0, 2_000]);
    const { rows } = await state.query<{ lane: string }>('select lane from sluice.detached_lane where pipeline = $1', [name]);
    if (rows.length < lanes.length) throw new Error(`${rows.map(({ lane }) => lane).join(', ') || 'none'} was`);
    return true;
  };
  await until(`${lanes.join(', ')} to be detached`, done, { timeoutMs: struckMs, everyMs: 250, signal });
  return (performance.now() - startedAt) / 1000;
}
