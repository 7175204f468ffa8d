import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { aggregateLane } from '../connectors/aggregate/progress.ts';
import { becomeOther } from '../connectors/postgres/aggregate/become-other.ts';
import { endCaptures } from '../connectors/postgres/claim.ts';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { classified } from '../connectors/postgres/errors.ts';
import { noteRebuilds } from '../connectors/postgres/live-rebuilds.ts';
import { beginRedefinition as begin, joinLanes, readFilling, readJoining, readRedefinition, tellRedefinition as tell, type Redefinition } from '../connectors/postgres/redefinitions.ts';
import { readLaterChange } from '../connectors/postgres/schema-changes.ts';
import { readLoaded } from '../connectors/postgres/shard-state.ts';
import { sourceClockUs } from '../connectors/postgres/snapshot-reader.ts';
import { inTransaction, type Queryable } from '../connectors/postgres/state/state.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { systemClock } from '../connectors/system-clock.ts';
import type { Comparison } from '../core/bootstrap.ts';
import { definitionChanges } from '../core/define/definition-changes.ts';
import { definitionHash, loadedDefinition, writtenDefinition, type LastingDefinition } from '../core/define/definition-hash.ts';
import { usedBy, type Place } from '../core/destroy.ts';
import { configurationFailure } from '../core/failure-types.ts';
import { killPoint } from '../core/kill-point.ts';
import { uncountableViews } from '../core/migration/lost.ts';
import type { Pipeline } from '../core/pipeline.ts';
import type { Position } from '../core/position.ts';
import { planRedefinition as plan } from '../core/redefine-plan.ts';
import { joiningLanes, losesText, rejoining, redefineWorkflowId, type RedefineInput, type RedefinePlan, type RedefineState } from '../core/redefine.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { beating } from './beating.ts';
import { describe } from './describe.ts';
import { dropPlace } from './destroy.ts';
import { failing } from './failures.ts';
import { openSink } from './open-destination.ts';
import { assertStreaming, redefining, type Filled, type RedefineRuntime } from './redefine-fill.ts';
import { rest } from './rest.ts';
import type { Runtime } from './runtime.ts';
import type { Description, TakeOverInput } from './steps.ts';

/** What the redefine workflow sees. Every one may be repeated. */
export type RedefineActivities = {
  /** Puts on record what makes what pipelines/ has of what runs, or finds one that is not complete. Returns its number; null: there is nothing to do. */
  beginRedefinition(input: BeginInput): Promise<number | null>;
  readPlan(input: RedefineInput): Promise<Planned>;
  /** Makes what new destinations need. What cannot be made is refused before anything has changed. */
  prepareRedefinition(input: RedefineInput): Promise<void>;
  /** Has the pipeline's workflow take over. */
  askToTakeOver(input: TakeOverInput): Promise<void>;
  /** Says windows again that new relays lack. */
  sayKept(input: RedefineInput): Promise<void>;
  /** One step: until panes are complete, or its time is over. */
  fillPanes(input: RedefineInput & { readonly durationMs: number }): Promise<Filled>;
  /** Loads new lanes from the source. */
  fillLanes(input: RedefineInput): Promise<{ readonly rows: number }>;
  /** What destinations that ended have. */
  dropEnded(input: RedefineInput): Promise<readonly string[]>;
  tellRedefinition(input: RedefineInput & { readonly state: RedefineState; readonly error: string | null }): Promise<void>;
  /** Returns when somebody has brought it to its end, or nobody goes on with it. */
  followRedefinition(input: RedefineInput): Promise<void>;
};

/** `written`, `allow`: as in BootstrapRequest; `rejoins`: as in Comparison. An apply of before does not say. */
export type BeginInput = { readonly pipeline: string; readonly keepResults: boolean; readonly written?: string; readonly allow?: boolean; readonly rejoins?: Comparison['rejoins'] };

export type Planned = { readonly state: RedefineState; readonly plan: RedefinePlan };

export function beginRedefinition(runtime: RedefineRuntime, { pipeline: name, keepResults, written, allow = true, rejoins }: BeginInput): Promise<number | null> {
  return failing(async () => {
    const { state } = runtime;
    const filling = await readFilling(state, name);
    if (filling) return filling.number;
    const shard = await assertStreaming(runtime, name);
    const record = (await readLoaded(state)).get(name);
    const after = await runtime.applied(name);
    // one that was detached during its own load, for which nobody can say that the next would be quicker, waits to be asked for
    const detached = [...(await readDetached(state, name))].flatMap(([lane, { at }]) => (rejoins === undefined || rejoins[lane] === at ? [lane] : []));
    if (!record?.definition || (record.hash === definitionHash(after) && detached.length === 0)) return null;
    const found = rejoining(plan(record.definition, JSON.parse(loadedDefinition(after).json) as LastingDefinition), after, detached);
    // hours may have gone by since somebody was told what would be lost
    const differs = written === undefined ? [] : definitionChanges(JSON.parse(writtenDefinition(pipelines[name]!)), JSON.parse(written));
    if (differs.length > 0) throw new ConfigurationError(`pipelines/${name}.ts has become another since this apply began (${differs.join('; ')}). Type ./sluice apply ${name} again.`);
    if (found.loses.length > 0 && !allow) throw new ConfigurationError(losesText(name, found));
    if (found.impossible.length > 0) throw new ConfigurationError(`${name} cannot be changed in place: ${found.impossible.join('; ')}.`);
    if (keepResults && found.recreated.length > 0) throw new ConfigurationError(`The results in ${found.recreated.join(', ')} cannot be kept, as their columns become others: give the sink another table, or leave out --keep-results.`);
    const lost = found.fills.filter((view) => uncountableViews(after).has(view));
    if (lost.length > 0) throw new ConfigurationError(`Panes of ${lost.join(', ')} cannot be computed: they count by a column that the source of ${name} has no more.`);
    const { rows: [letters] } = await state.query<{ waiting: string }>("select count(*) as waiting from sluice.dead_letter where pipeline = $1 and lane = $2 and state = 'waiting'", [name, aggregateLane]);
    // their events are in the source, and would come to panes that have them already
    if (found.fills.length > 0 && letters!.waiting !== '0') throw new ConfigurationError(`${letters!.waiting} dead letters wait for the windows of ${name}, and panes that are filled from the source have their events already. Replay or drop them first: ./sluice dlq list ${name} --lane ${aggregateLane}`);
    return begin(state, name, { epoch: shard.epoch, beforeHash: record.hash, afterHash: definitionHash(after), plan: found, keepResults });
  });
}

export function readPlan({ state }: RedefineRuntime, { pipeline, number }: RedefineInput): Promise<Planned> {
  return failing(async () => {
    const { state: now, plan: found } = await readRedefinition(state, pipeline, number);
    return { state: now, plan: found };
  });
}

export function prepareRedefinition(runtime: RedefineRuntime, input: RedefineInput): Promise<void> {
  return failing(async () => {
    const redefinition = await readRedefinition(runtime.state, input.pipeline, input.number);
    const after = await assertAfter(runtime, input, redefinition);
    // by itself it makes its table; what it has no address for, it says
    for (const lane of redefinition.plan.loads) await (await openSink(runtime.config, runtime.state, after, lane)).sink.close();
  });
}

/** One that is held, rotates, or is a little behind, is asked again. Throws ConfigurationError for everything else. */
export function askToTakeOver(runtime: RedefineRuntime, input: TakeOverInput): Promise<void> {
  return redefining(async (context) => {
    const { pipeline, number, what } = input;
    for (const startedMs = systemClock.steady(); ; await rest(context, askAgainMs)) {
      if (await isDone(runtime, input)) return;
      try {
        await context.client.workflow.getHandle(pipelineWorkflowId(pipeline)).executeUpdate('redefine', { args: [number, what] });
        killPoint('redefine/taken-over');
        return;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) throw new ConfigurationError(`Pipeline ${pipeline} does not run: its workflow ${pipelineWorkflowId(pipeline)} was ended. Type ./sluice apply ${pipeline} again.`, { cause: error });
        if (!(error instanceof WorkflowUpdateFailedError)) throw error;
        const { type, message } = (error.cause ?? {}) as { type?: string; message?: string };
        if (type === configurationFailure || systemClock.steady() - startedMs > patienceMs) throw new ConfigurationError(`Pipeline ${pipeline} could not be changed, and goes on as it was: ${message ?? error.message}. Type ./sluice apply ${pipeline} again.`, { cause: error });
      }
    }
  });
}

async function isDone({ state }: RedefineRuntime, { pipeline, number, what }: TakeOverInput): Promise<boolean> {
  const { state: now, plan: found } = await readRedefinition(state, pipeline, number);
  if (now === 'cancelled') throw new ConfigurationError(`Redefinition ${number} of ${pipeline} counts no more: something else was asked for since, or the pipeline was loaded anew. Type ./sluice apply ${pipeline} again.`);
  if (what === 'become') return now !== 'planned';
  const joining = await readJoining(state, pipeline);
  return ![...found.loads, ...found.lives].some((lane) => joining.has(lane));
}

/** For the pipeline's workflow. */
export function takeOver(runtime: Runtime, { pipeline: name, number, what }: TakeOverInput): Promise<Description> {
  // nothing of it runs until then: a worker that died here is to be noticed
  return beating(async () => {
    await (what === 'become' ? become : join)(runtime, { pipeline: name, number });
    killPoint('redefine/taking-over');
    // whatever another worker lacks for it: the pipeline is the other one already, and must not go on by what it was before
    return describe(runtime, { pipeline: name }).catch((error: unknown) => {
      throw error instanceof ApplicationFailure ? new Error(error.message, { cause: error }) : error;
    });
  });
}

async function become(runtime: Runtime, input: RedefineInput): Promise<void> {
  const redefinition = await readRedefinition(runtime.state, input.pipeline, input.number);
  if (redefinition.state !== 'planned') return;
  const after = await assertAfter(runtime, input, redefinition);
  // or one that goes on without Temporal (E25) would append rows behind that place that lack columns of the new views
  const tail = await endCaptures(await runtime.log(input.pipeline), await assertStreaming(runtime, input.pipeline), definitionHash(after));
  if (tail === 'lost') throw ApplicationFailure.nonRetryable('a capture still appends to its spool', 'Behind');
  const sourceNowMs = Math.ceil((await withSource(runtime.config.sourceUrl, `sluice ${input.pipeline} redefine`, sourceClockUs)) / 1000);
  const isTaken = await classified('state database', () => becomeOther(runtime.state, { number: input.number, after, tail, sourceNowMs }));
  if (!isTaken) throw ApplicationFailure.nonRetryable(`its aggregate lane has not all that is in the spool, which ends at ${tail}`, 'Behind');
}

async function join(runtime: Runtime, { pipeline: name, number }: RedefineInput): Promise<void> {
  const { pipeline } = await runtime.definition(name);
  const { plan: found, epoch } = await readRedefinition(runtime.state, name, number);
  const { rows, panes } = joiningLanes(found, pipeline.sinks);
  await classified('state database', () =>
    inTransaction(runtime.state, async (client) => {
      // of a worker that stood still: they may be joining again by now
      if ((await readRedefinition(client, name, number, 'for update')).state !== 'filling') return;
      await assertPastMigrations(client, name, rows, epoch);
      // or a capture that has seen one stand still would let it go when it has joined
      await client.query('select from sluice.shard where pipeline = $1 for update', [name]);
      // its lane makes it out of the panes, which are complete
      if (panes.length > 0) await noteRebuilds(client, pipeline, panes);
      await joinLanes(client, name, [...rows, ...panes]);
    }),
  );
}

/** Behind one that was done since their rows were read the spool has columns of before. */
async function assertPastMigrations(client: Queryable, name: string, lanes: readonly string[], epoch: number): Promise<void> {
  const { rows: [least] } = await client.query<{ floor: Position | null }>('select min(floor) as floor from sluice.joining_lane where pipeline = $1 and lane = any($2)', [name, lanes]);
  const later = least?.floor == null ? undefined : await readLaterChange(client, name, epoch, least.floor);
  if (later) throw new ConfigurationError(`Migration ${later.number} of its source's columns was done after the rows of ${lanes.join(', ')} had been read, which have to be read again.`);
}

export function dropEnded(runtime: Runtime, input: RedefineInput): Promise<readonly string[]> {
  return beating(async () => {
    const { state } = runtime;
    const { plan: { drops }, keepResults } = await readRedefinition(state, input.pipeline, input.number);
    if (keepResults) return [];
    // another pipeline writes there, or this one does again since
    const userOf = async (place: Place, client: Queryable) => usedBy(place, [...(await readLoaded(client)).values()].flatMap(({ definition }) => (definition ? [definition] : [])));
    const dropped: string[] = [];
    for (const [lane, place] of Object.entries(drops)) {
      if ((await userOf(place, state)) !== undefined) continue;
      const { wasThere } = await dropPlace(runtime, { pipeline: input.pipeline, lane, place }, async (client) => {
        // it has become so just now; the next attempt passes it over
        const user = await userOf(place, client);
        if (user !== undefined) throw new Error(`pipeline ${user} writes there by now: it stays`);
      });
      if (wasThere) dropped.push('table' in place ? place.table : place.key);
    }
    return dropped;
  });
}

export function tellRedefinition({ state }: RedefineRuntime, { pipeline, number, state: now, error }: RedefineInput & { readonly state: RedefineState; readonly error: string | null }): Promise<void> {
  return failing(() => classified('state database', () => tell(state, pipeline, number, now, error)));
}

export function followRedefinition({ state }: RedefineRuntime, { pipeline, number }: RedefineInput): Promise<void> {
  return redefining(async (context) => {
    const handle = context.client.workflow.getHandle(redefineWorkflowId(pipeline, number));
    for (;;) {
      const { state: now } = await readRedefinition(state, pipeline, number);
      if (now === 'done' || now === 'cancelled') return;
      if ((await handle.describe()).status.name !== 'RUNNING') return;
      await rest(context, lookMs);
    }
  });
}

/** Throws ConfigurationError unless pipelines/ has what it was planned for. */
async function assertAfter(runtime: RedefineRuntime, { pipeline: name, number }: RedefineInput, { afterHash }: Redefinition): Promise<Pipeline> {
  const after = await runtime.applied(name);
  if (definitionHash(after) === afterHash) return after;
  throw new ConfigurationError(`pipelines/${name}.ts, or the columns of its source, are others than when redefinition ${number} was planned. Type ./sluice apply ${name} again.`);
}

const lookMs = 200;
const askAgainMs = 500;
/** For whatever holds the pipeline up to let it go. */
const patienceMs = 120_000;
