import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, CancellationScope, condition, defineQuery, defineUpdate, getExternalWorkflowHandle, isCancellation, patched, proxyActivities, setCurrentDetails, setHandler, upsertSearchAttributes, type ActivityOptions } from '@temporalio/workflow';
import type { MigrationActivities, MigrationInput, PlannedMigration } from '../activities/migration.ts';
import { configurationFailure, bugFailure } from '../core/failure-types.ts';
import { isOver, migrationStates, type MigrationEvent, type MigrationState } from '../core/migration/migration-state.ts';
import type { Decision } from '../core/migration/plan.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { migrated } from './messages.ts';
import { refusal } from './refusal.ts';
import { stateAttribute } from './search-attributes.ts';

export const approve = defineUpdate<MigrationStatus>('approve');
export const reject = defineUpdate<MigrationStatus>('reject');
export const migrationStatus = defineQuery<MigrationStatus>('status');

export type MigrationStatus = MigrationInput & {
  readonly state: MigrationState;
  readonly decision: Decision | null;
  readonly plan: PlannedMigration | null;
  /** Why it is asked about again, or could not be done. */
  readonly error: string | null;
};

const options = {
  startToCloseTimeout: '1 minute',
  // the pipeline waits: a worker that dies is noticed as soon as with a step
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<MigrationActivities>(options);
/** A lane may be away for days, and a table may take hours to change. */
const patient = { ...options, startToCloseTimeout: '30 days' } satisfies ActivityOptions;

/**
 * What becomes of a pipeline when its source's tables get other columns. The capture stands at the change and keeps
 * what follows as it comes; lanes go on up to it. When it is over, the pipeline's workflow hears of it and goes on.
 */
export async function migration(input: MigrationInput): Promise<MigrationStatus> {
  const run = new Run(input);
  setHandler(migrationStatus, () => run.status());
  for (const [update, decision] of [[approve, 'approve'], [reject, 'reject']] as const) {
    setHandler(update, () => run.decide(decision), { validator: () => run.assertMay(decision) });
  }
  CancellationScope.current().cancelRequested.catch(() => run.move('cancel'));
  try {
    await follow(run);
  } catch (error) {
    if (!isCancellation(error)) run.fail(error);
  }
  await CancellationScope.nonCancellable(async () => {
    await run.tell();
    await getExternalWorkflowHandle(pipelineWorkflowId(input.pipeline)).signal(migrated, input.number, run.sentence()).catch(() => {});
  });
  return run.status();
}

async function follow(run: Run): Promise<void> {
  const { input } = run;
  run.plan = await activities.planMigration.executeWithOptions({ ...options, summary: 'what it means' }, [input]);
  if (run.plan.state === 'done') return run.found('done');
  run.move(begins[run.plan.verdict]);
  if (run.plan.verdict === 'automatic') run.decision = 'approve';
  while (!isOver(run.state)) {
    await run.tell();
    if (run.state === 'waiting') await condition(() => run.state !== 'waiting');
    else if (run.state === 'draining') {
      await activities.drainToChange.executeWithOptions({ ...patient, summary: 'until every lane has what came before it' }, [input]);
      run.move('reached');
    } else await change(run, { ...input, decision: run.decision! });
  }
}

const begins = { nothing: 'nothing', automatic: 'decide', approval: 'ask', impossible: 'impossible' } as const satisfies Record<string, MigrationEvent>;

async function change(run: Run, decided: MigrationInput & { readonly decision: Decision }): Promise<void> {
  const { decision } = decided;
  try {
    await activities.changeSinks.executeWithOptions({ ...patient, summary: `${decision}: the tables of sinks` }, [decided]);
    if (isOver(run.state)) return;
    // once begun, it may be done whoever cancels
    await CancellationScope.nonCancellable(() => activities.settleMigration.executeWithOptions({ ...options, summary: `${decision}: the pipeline` }, [decided]));
  } catch (error) {
    const why = refusal(error);
    if (why?.kind !== 'configuration') throw error;
    run.error = why.sentence;
    run.move('refuse');
    return;
  }
  run.found('done');
  if (patched('what no row has is dropped when the pipeline is settled')) await trim(run, decided);
}

/** Nothing waits for it to go well: rows are as they should be. */
async function trim(run: Run, decided: MigrationInput & { readonly decision: Decision }): Promise<void> {
  try {
    await activities.trimSinks.executeWithOptions({ ...patient, summary: `${decided.decision}: what no row has any more` }, [decided]);
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.error = `It is done, but tables of sinks still have columns that no row has any more: ${refusal(error)?.sentence ?? String(error)}`;
  }
}

class Run {
  readonly input: MigrationInput;
  state: MigrationState = 'planned';
  decision: Decision | undefined;
  plan: PlannedMigration | undefined;
  error: string | undefined;
  #told: MigrationState | undefined;

  constructor(input: MigrationInput) {
    this.input = input;
    this.#publish();
  }

  move(event: MigrationEvent): void {
    this.found(migrationStates[this.state][event]);
  }

  found(state: MigrationState): void {
    this.state = state;
    this.#publish();
  }

  decide(decision: Decision): MigrationStatus {
    this.decision = decision;
    this.error = undefined;
    this.move('decide');
    return this.status();
  }

  assertMay(decision: Decision): void {
    const { pipeline, number } = this.input;
    const which = `Migration ${number} of ${pipeline}`;
    if (this.state !== 'waiting') throw ApplicationFailure.nonRetryable(`${which} is ${this.state}, and only one that waits can be decided.`, 'InvalidRequest');
    if (!this.plan!.possible.includes(decision)) throw ApplicationFailure.nonRetryable(`${which}: ${decision} cannot be done, and ./sluice migrations ${pipeline} says why.`, 'InvalidRequest');
  }

  fail(error: unknown): void {
    const cause = error instanceof ActivityFailure ? error.cause : error;
    this.error = cause instanceof Error ? cause.message : String(cause);
    this.move('cancel');
  }

  status(): MigrationStatus {
    const { input, state, decision = null, plan = null, error = null } = this;
    return { ...input, state, decision, plan, error };
  }

  /** What keeps the pipeline from going on; undefined: nothing. */
  sentence(): string | undefined {
    const { pipeline, number } = this.input;
    if (this.state === 'done' || this.state === 'unneeded') return undefined;
    if (this.state === 'impossible') return `The columns of its source have changed in a way that this pipeline cannot follow: ${this.plan!.text.replaceAll('\n', ' ')}. Correct the definition, restart the worker (./sluice down, ./sluice up) and load it anew: ./sluice recover ${pipeline}`;
    return `Migration ${number} of its source's columns ${this.error === undefined ? 'was cancelled' : `failed: ${this.error}`}. To be asked again: ./sluice resume ${pipeline} --lane capture`;
  }

  async tell(): Promise<void> {
    if (this.#told === this.state) return;
    this.#told = this.state;
    const { state, decision, error } = this;
    await activities.tellMigration.executeWithOptions({ ...options, summary: `it is ${state}` }, [{ ...this.input, told: { state, decision, error } }]);
  }

  #publish(): void {
    const { pipeline, number } = this.input;
    const next = this.state === 'waiting' ? (this.plan?.possible ?? []).map((decision) => `sluice ${decision} ${pipeline}`) : [];
    setCurrentDetails(
      [`# ${pipeline}: migration ${number}, ${this.state}`, '```', ...(this.plan ? [this.plan.text] : []), ...(this.error === undefined ? [] : [this.error]), '```', ...(next.length > 0 ? ['## What to do next', '```', ...next, '```'] : [])].join('\n'),
    );
    if (this.state !== 'planned') upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }
}
