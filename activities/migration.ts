import { CancelledFailure, Context } from '@temporalio/activity';
import { sinkTable } from '../connectors/clickhouse/clickhouse-sink.ts';
import { alterStatements, reshapeTable } from '../connectors/clickhouse/reshape-table.ts';
import { smallestOf } from '../connectors/postgres/fences.ts';
import { readChange, settleChange, tellChange, type Told } from '../connectors/postgres/schema-changes.ts';
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
import { failing } from './failures.ts';
import type { Runtime } from './runtime.ts';

/** What the migration workflow sees. */
export type MigrationActivities = {
  planMigration(input: MigrationInput): Promise<PlannedMigration>;
  /** Returns when every lane has all that came before the change. */
  drainToChange(input: MigrationInput): Promise<void>;
  changeSinks(input: DecidedMigration): Promise<void>;
  /** From then on the pipeline is of the new shape. */
  settleMigration(input: DecidedMigration): Promise<void>;
  tellMigration(input: MigrationInput & { readonly told: Told }): Promise<void>;
};

export type MigrationInput = { readonly pipeline: string; readonly number: number };
export type DecidedMigration = MigrationInput & { readonly decision: Decision };

/** `text`: what a person reads who is to decide. `possible`: what may be decided. */
export type PlannedMigration = { readonly state: MigrationState; readonly verdict: Verdict; readonly text: string; readonly possible: readonly Decision[] };

type MigrationRuntime = Pick<Runtime, 'config' | 'state' | 'declared' | 'definition' | 'destinations'>;

export function planned(runtime: MigrationRuntime, input: MigrationInput): Promise<PlannedMigration> {
  return failing(async () => {
    const { change, plan, before } = await load(runtime, input);
    const statements = (decision: Decision) => sinksOf(before, runtime, input.pipeline, plan, decision).flatMap(({ tables: [was, is] }) => alterStatements(was, is));
    const possible = (['approve', 'reject'] as const).filter((decision) => plan[decision].possible);
    return { state: change.state, verdict: plan.verdict, text: planText(plan, { approve: statements('approve'), reject: statements('reject') }), possible };
  });
}

export function drainToChange(runtime: MigrationRuntime, input: MigrationInput): Promise<void> {
  return failing(async () => {
    const { change, before } = await load(runtime, input);
    const context = Context.current();
    const lanes = segmentLanes(before);
    for (;;) {
      const fences = await Promise.all(lanes.map(async (lane) => [lane, await runtime.destinations.readFence(before, lane).catch(() => undefined)] as const));
      const behind = fences.filter(([, fence]) => fence === undefined || fence < change.position!);
      if (behind.length === 0) return;
      context.heartbeat({ behind: behind.map(([lane]) => lane), at: smallestOf(new Map(behind)) });
      if (context.cancellationSignal.aborted) throw new CancelledFailure('asked to stop');
      await pause(systemClock, lookMs, context.cancellationSignal);
    }
  });
}

export function changeSinks(runtime: MigrationRuntime, input: DecidedMigration): Promise<void> {
  return beating(async () => {
    const { plan, before } = await load(runtime, input);
    for (const { tables: [was, is] } of sinksOf(before, runtime, input.pipeline, plan, input.decision)) await reshapeTable(runtime.config.clickhouseUrl, was, is);
  });
}

export function settleMigration(runtime: MigrationRuntime, input: DecidedMigration): Promise<void> {
  return failing(async () => {
    const { change, plan } = await load(runtime, input);
    if (change.state === 'done') return;
    const shape = shapeOf(plan, input.decision);
    await settleChange(runtime.state, input.pipeline, input.number, shape, loadedDefinition(reshaped(runtime.declared(input.pipeline), shape)));
  });
}

export function tellMigration({ state }: MigrationRuntime, { pipeline, number, told }: MigrationInput & { readonly told: Told }): Promise<void> {
  return failing(() => tellChange(state, pipeline, number, told));
}

/** The same as long as the change is not done, as is the plan. */
async function load(runtime: MigrationRuntime, { pipeline, number }: MigrationInput): Promise<{ change: SchemaChange; plan: MigrationPlan; before: Pipeline }> {
  const change = await readChange(runtime.state, pipeline, number);
  if (!change) throw new ConfigurationError(`Pipeline ${pipeline} has no migration ${number}: was it loaded anew? See ./sluice migrations ${pipeline}`);
  const { pipeline: before, shape } = await runtime.definition(pipeline);
  return { change, before, plan: planMigration(runtime.declared(pipeline), shape.columns, change.changes) };
}

function shapeOf(plan: MigrationPlan, decision: Decision): Shape {
  const outcome = plan[decision];
  if (outcome.possible) return outcome.shape;
  throw new ConfigurationError(`It cannot be done: ${outcome.why.join(' ')}`);
}

/** Of destinations whose tables have rows' columns. */
function sinksOf(before: Pipeline, runtime: Pick<Runtime, 'declared'>, name: string, plan: MigrationPlan, decision: Decision) {
  if (!plan[decision].possible) return [];
  const after = reshaped(runtime.declared(name), shapeOf(plan, decision));
  return Object.values(before.sinks).flatMap((sink) => (sink.kind === 'clickhouse' ? [{ tables: [sinkTable(before, sink), sinkTable(after, sink)] as const }] : []));
}

/** A table may take hours to change, and a worker that dies meanwhile must be noticed. */
async function beating<T>(work: () => Promise<T>): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), beatMs);
  try {
    return await failing(work);
  } finally {
    clearInterval(beat);
  }
}

const lookMs = 500;
const beatMs = 1_000;
