import { CancelledFailure, Context } from '@temporalio/activity';
import { sinkTable } from '../connectors/clickhouse/clickhouse-sink.ts';
import { oweShape, payShapes } from '../connectors/clickhouse/owed-shapes.ts';
import { alterStatements, dropColumns, reshapeTable } from '../connectors/clickhouse/reshape-table.ts';
import type { SinkTable } from '../connectors/clickhouse/table.ts';
import { smallestOf } from '../connectors/postgres/fences.ts';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { readJoining } from '../connectors/postgres/redefinitions.ts';
import { readChange, settleChange, tellChange, type Told } from '../connectors/postgres/schema-changes.ts';
import { readShard } from '../connectors/postgres/shard-state.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { pause } from '../core/clock.ts';
import { loadedDefinition } from '../core/define/definition-hash.ts';
import { planMigration, type Decision, type MigrationPlan, type Verdict } from '../core/migration/plan.ts';
import { planText, type SchemaChange } from '../core/migration/schema-change.ts';
import { reshaped, type Shape } from '../core/migration/shape.ts';
import type { MigrationState } from '../core/migration/migration-state.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { segmentLanes } from './capture-start.ts';
import { beating } from './beating.ts';
import type { Runtime } from './runtime.ts';

/** What the migration workflow sees. */
export type MigrationActivities = {
  planMigration(input: MigrationInput): Promise<PlannedMigration>;
  /** Returns when every lane has all that came before the change. */
  drainToChange(input: MigrationInput): Promise<void>;
  /** Gives the tables of sinks what new rows need. Rows of before fit as well. */
  changeSinks(input: DecidedMigration): Promise<void>;
  /** From then on the pipeline is of the new shape. */
  settleMigration(input: DecidedMigration): Promise<void>;
  /** Takes from the tables of sinks what no row has any more. */
  trimSinks(input: DecidedMigration): Promise<void>;
  tellMigration(input: MigrationInput & { readonly told: Told }): Promise<void>;
};

export type MigrationInput = { readonly pipeline: string; readonly number: number };
export type DecidedMigration = MigrationInput & { readonly decision: Decision };

/** `text`: what a person reads who is to decide. `possible`: what may be decided. */
export type PlannedMigration = { readonly state: MigrationState; readonly verdict: Verdict; readonly text: string; readonly possible: readonly Decision[] };

type MigrationRuntime = Pick<Runtime, 'config' | 'state' | 'unshaped' | 'definitionBefore' | 'destinations' | 'log'>;

export function planned(runtime: MigrationRuntime, input: MigrationInput): Promise<PlannedMigration> {
  return beating(async () => {
    const { change, plan, before, after } = await load(runtime, input);
    const statements = (decision: Decision) => (plan[decision].possible ? [...tablesOf(before)].flatMap(([lane, table]) => alterStatements(table, tablesOf(after(decision)).get(lane)!)) : []);
    const possible = decisions.filter((decision) => plan[decision].possible);
    return { state: change.state, verdict: plan.verdict, text: planText(plan, { approve: statements('approve'), reject: statements('reject') }), possible };
  });
}

export function drainToChange(runtime: MigrationRuntime, input: MigrationInput): Promise<void> {
  const context = Context.current();
  let waited: object | undefined;
  return beating(async () => {
    const { change, before } = await load(runtime, input);
    // one that joins later begins with rows of the new form
    const joining = await readJoining(runtime.state, input.pipeline);
    const joined = segmentLanes(before).filter((lane) => !joining.has(lane));
    const log = await runtime.log(input.pipeline);
    let told = '';
    for (;;) {
      // likewise one that was let go, or is while the others are waited for
      const detached = await readDetached(runtime.state, input.pipeline);
      const lanes = joined.filter((lane) => !detached.has(lane));
      // before the fences: what every lane has is taken from it
      const [oldest, newest] = [await log.oldest(), await log.tail()];
      const fences = await Promise.all(lanes.map(async (lane) => [lane, await runtime.destinations.readFence(before, lane).catch(unlessItPasses)] as const));
      const behind = fences.filter(([, fence]) => fence === undefined || fence < change.position!);
      if (behind.length === 0) return;
      const lost = behind.flatMap(([lane, fence]) => (fence !== undefined && !(oldest && newest && oldest.from <= fence && newest.to >= change.position!) ? [lane] : []));
      if (lost.length > 0) throw new ConfigurationError(`${lost.join(', ')} will never have what came before the change: the spool has lost it. Resumed, the capture reads it from the source again, if that still has it, and asks about the change anew.`);
      waited = { behind: behind.map(([lane]) => lane), at: smallestOf(new Map(behind)) };
      const names = behind.map(([lane]) => lane).join(', ');
      if (names !== told) await tellChange(runtime.state, input.pipeline, input.number, { state: 'draining', error: `waiting until all that came before the change is in ${names}` });
      told = names;
      if (context.cancellationSignal.aborted) throw new CancelledFailure('asked to stop');
      await pause(systemClock, lookMs, context.cancellationSignal);
    }
  }, () => waited);
}

export function changeSinks(runtime: MigrationRuntime, input: DecidedMigration): Promise<void> {
  return beating(() => eachTable(runtime, input, (forms, after) => reshapeTable(runtime.config.clickhouseUrl, forms, after)));
}

export function trimSinks(runtime: MigrationRuntime, input: DecidedMigration): Promise<void> {
  return beating(() => eachTable(runtime, input, (forms, after) => dropColumns(runtime.config.clickhouseUrl, forms, after)));
}

/** Of destinations whose tables have rows' columns; of a lane that is detached, when it is joined again. `forms`: which those may have by now, as another decision may have been begun before. */
async function eachTable(runtime: MigrationRuntime, input: DecidedMigration, change: (forms: readonly SinkTable[], after: SinkTable) => Promise<void>): Promise<void> {
  const { plan, before, after } = await load(runtime, input);
  const forms = [before, ...decisions.filter((decision) => plan[decision].possible).map(after)].map(tablesOf);
  const { config, state } = runtime;
  const detached = await readDetached(state, input.pipeline);
  for (const [lane, table] of tablesOf(after(input.decision))) {
    const own = forms.map((form) => form.get(lane)!);
    if (detached.has(lane)) await oweShape(state, { ...input, lane }, own, table);
    else {
      // of a migration before this one, while it was detached
      await payShapes(state, config.clickhouseUrl, input.pipeline, lane);
      await change(own, table);
    }
  }
}

export function settleMigration(runtime: MigrationRuntime, input: DecidedMigration): Promise<void> {
  return beating(async () => {
    const { change, plan, after } = await load(runtime, input);
    if (change.state === 'done') return;
    await settleChange(runtime.state, input.pipeline, input.number, shapeOf(plan, input.decision), loadedDefinition(after(input.decision)));
  });
}

export function tellMigration({ state }: MigrationRuntime, { pipeline, number, told }: MigrationInput & { readonly told: Told }): Promise<void> {
  return beating(() => tellChange(state, pipeline, number, told));
}

type Loaded = {
  readonly change: SchemaChange;
  readonly plan: MigrationPlan;
  readonly before: Pipeline;
  /** Throws ConfigurationError if that cannot be decided. */
  readonly after: (decision: Decision) => Pipeline;
};

/** The same at any time. */
async function load(runtime: MigrationRuntime, { pipeline: name, number }: MigrationInput): Promise<Loaded> {
  const change = await readChange(runtime.state, name, number);
  if (!change) throw new ConfigurationError(`Pipeline ${name} has no migration ${number}: was it loaded anew? See ./sluice migrations ${name}`);
  const shard = await readShard(runtime.state, name);
  if (change.state !== 'done' && change.epoch !== shard?.epoch) throw new ConfigurationError(`Migration ${number} of ${name} is of a load before the last one, which has read the source as it is now.`);
  const { pipeline: before, shape } = await runtime.definitionBefore(name, number);
  const unshaped = await runtime.unshaped(name);
  const plan = planMigration(unshaped, shape.columns, change.changes);
  return { change, plan, before, after: (decision) => reshaped(unshaped, shapeOf(plan, decision)) };
}

function shapeOf(plan: MigrationPlan, decision: Decision): Shape {
  const outcome = plan[decision];
  if (outcome.possible) return outcome.shape;
  throw new ConfigurationError(`It cannot be done: ${outcome.why.join(' ')}`);
}

/** By lane. */
function tablesOf(pipeline: Pipeline): ReadonlyMap<string, SinkTable> {
  return new Map(Object.entries(pipeline.sinks).flatMap(([lane, sink]) => (sink.kind === 'clickhouse' ? [[lane, sinkTable(pipeline, sink)] as const] : [])));
}

/** What a person must mend, waiting does not. */
function unlessItPasses(error: unknown): undefined {
  if (error instanceof ConfigurationError) throw error;
}

const decisions = ['approve', 'reject'] as const;
const lookMs = 500;
