import { applied } from '../applied.ts';
import { DidNotStrike, struckMs, type Fault } from '../fault.ts';
import { editFor, editsOf } from '../laboratory/edits.ts';
import { grown } from '../laboratory/grown.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';
import { dead } from './kill.ts';

const unfit = ({ name }: World) => (Object.hasOwn(grown, name) ? undefined : `The laboratory has no other definition of ${name}.`);

const changed: Fault = {
  name: 'apply/changed',
  what: 'Views and sinks are added to the definition and applied under load, and at the next time taken away.',
  expected: 'It is changed in place while the stream goes on: what is new is filled from the source, from its panes, and from what was published; what ended is dropped.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world, _, signal) {
    return { evidence: await change(world, signal) };
  },
};

const killed: Fault = {
  name: 'apply/killed',
  what: 'The same, and the worker is killed (SIGKILL) when the pipeline has become another, or when new lanes have their rows, and nobody knows.',
  expected: 'The next attempt finds what is done, and goes on with the rest.',
  drawn: true,
  forgets: true,
  unfit,
  async strike(world, random, signal) {
    const adds = !editsOf(world).grown;
    const loads = Object.values(grown[world.name]!.sinks).some(({ kind }) => kind === 'clickhouse');
    const point = random.pick(['redefine/taking-over', 'redefine/taken-over', ...(adds && loads ? (['redefine/lanes-filled'] as const) : [])] as const);
    const deathsBefore = world.processes.endings('worker').length;
    await world.killOrders.arm(point);
    const changing = change(world, signal);
    changing.catch(() => {});
    const { evidence } = await Promise.race([dead(world, point, deathsBefore, signal), failed(changing)]);
    return { evidence: `${evidence}; ${await changing}` };
  },
};

/** Why it ends before anybody dies of it, if it does. */
async function failed(changing: Promise<string>): Promise<never> {
  throw new DidNotStrike(`It was over before anybody died: ${await changing}`);
}

export const applyFaults: readonly Fault[] = [changed, killed];

/** To and fro. */
async function change(world: World, signal: AbortSignal): Promise<string> {
  const { grown: hasGrown, ...rest } = editsOf(world);
  const lanes = Object.keys(grown[world.name]!.sinks);
  const startedAt = performance.now();
  await editFor(world, hasGrown ? rest : { ...rest, grown: true });
  // a fault beside this one is not to wait for lanes that end
  if (hasGrown) await world.redefined();
  const said = await applied(world, { allow: hasGrown === true }, signal);
  if (!hasGrown) await world.redefined();
  const seconds = (performance.now() - startedAt) / 1000;
  let there: readonly string[] = [];
  const known = async () => {
    const { capture, lanes: all, reason } = await world.status();
    if (!capture) throw new Error(reason ?? 'its workflow does not answer');
    there = lanes.filter((lane) => all.some(({ name }) => name === lane));
    return true;
  };
  await until('its workflow to answer', known, { timeoutMs: struckMs, everyMs: 200, signal });
  if (there.length !== (hasGrown ? 0 : lanes.length)) throw new DidNotStrike(`Of ${lanes.join(', ')} it has ${there.join(', ') || 'none'} now. It said: ${said.join('; ')}`);
  const { rows: [last] } = await world.state.query<{ number: number; state: string }>('select number, state from sluice.redefinition where pipeline = $1 order by number desc limit 1', [world.name]);
  if (last?.state !== 'done') throw new DidNotStrike(`The last redefinition on record is ${last?.state}.`);
  return `redefinition ${last.number} ${hasGrown ? 'took' : 'added'} ${lanes.join(', ')}${hasGrown ? ' away' : ''} within ${seconds.toFixed(1)} s`;
}
