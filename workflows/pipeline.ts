import { ChildWorkflowFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, ParentClosePolicy, allHandlersFinished, condition, continueAsNew, isCancellation, patched, startChild, workflowInfo } from '@temporalio/workflow';
import type { StepEnd } from '../activities/steps.ts';
import { repairWorkflowId } from '../core/repair.ts';
import { described } from './described.ts';
import { handleMessages } from './handle-messages.ts';
import { migrationWorkflowId } from '../core/migration/schema-change.ts';
import type { Part } from './messages.ts';
import type { migration } from './migration.ts';
import { PipelineRun, type Memory } from './pipeline-run.ts';
import { refusal } from './refusal.ts';
import type { repair } from './repair.ts';
import { childAttributes } from './search-attributes.ts';
import { firstLoad, slotLag, step } from './steps.ts';

export type PipelineInput = {
  readonly name: string;
  /** A fresh run begins at this many events of history, or when the server suggests it, at about 4,096. */
  readonly rotateAtEvents?: number;
  /** How often the slot of a paused pipeline is looked at; a minute if it is missing. */
  readonly watchMs?: number;
  /** Of the run before. */
  readonly memory?: Memory;
};

/**
 * One pipeline, for ever: the first load, then one loop for the capture and one for each lane, step after step. A lane
 * that fails stops alone. A run is exchanged for a fresh one only when nothing runs: continue-as-new over a running
 * activity would start a second one beside it (E21).
 */
export async function pipeline(input: PipelineInput): Promise<void> {
  const run = new PipelineRun(input.name, input.memory, Date.now());
  handleMessages(run);
  run.publish();
  CancellationScope.current().cancelRequested.catch(() => run.tell());
  await prepare(run);
  const loops = [{ name: 'capture', kind: 'capture' } as Part, ...run.lanes].map((part) => loop(run, part, input));
  // even when the workflow is cancelled, every step ends before the workflow does
  const ends = await Promise.allSettled(loops);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  await condition(() => allHandlersFinished() && !run.isTelling);
  await continueAsNew<typeof pipeline>({ ...input, memory: run.memory() });
}

/** Until it is known what the pipeline is, and its sinks have what the tables held before. */
async function prepare(run: PipelineRun): Promise<void> {
  // what it was refused for may be mended in the definition
  let isRefused = false;
  while (!run.description?.loaded) {
    await allowed(() => run.rotating || run.state === 'loading');
    if (run.rotating) return;
    try {
      await scoped(run, 'capture', async () => {
        if (isRefused || !run.description) run.description = await described(run);
        isRefused = false;
        run.publish();
        if (run.description.loaded) return;
        const { position } = await firstLoad(run.name, run.description, run.number('capture'));
        for (const { name } of run.lanes) run.part(name).fence ??= position;
        run.description = { ...run.description, loaded: true };
      });
    } catch (error) {
      if (!isCancellation(error)) {
        run.refused('capture', refusal(error));
        isRefused = patched('a load that was refused is described anew');
      } else if (CancellationScope.current().consideredCancelled) throw error;
    }
    run.publish();
  }
  run.move('loaded');
}

async function loop(run: PipelineRun, part: Part, { rotateAtEvents, watchMs = 60_000 }: PipelineInput): Promise<void> {
  for (;;) {
    if (part.kind === 'capture') run.keepsUndecided = isMigrating(run) && patched('what waits for a decision is kept');
    const may = () => run.rotating || run.mayRun(part.name);
    while (part.kind === 'capture' && !may() && patched('paused slots are watched') && !(await condition(may, watchMs))) {
      const look = new CancellationScope();
      const looked = look.run(() => watchSlot(run));
      looked.catch(() => {});
      // whoever resumes does not wait for a source that does not answer
      await Promise.race([looked, condition(may)]);
      look.cancel();
      rotateIfDue(run, rotateAtEvents);
    }
    await allowed(may);
    if (run.rotating) return;
    const waits = part.kind === 'capture' && isMigrating(run);
    const ended = await oneStep(run, part);
    run.publish();
    repairIfStale(run);
    rotateIfDue(run, rotateAtEvents);
    // whoever took over is at work: do not race it
    if (part.kind === 'capture' && isMigrating(run) && !waits && ended === 'changed') await migrate(run);
    else if (ended === 'superseded' || ended === 'changed') await condition(() => run.rotating || !run.mayRun(part.name), 1_000);
  }
}

function isMigrating(run: PipelineRun): boolean {
  return run.part('capture').state === 'migrating';
}

/** Who was woken asks again: what one message allowed, another one of the same task may have forbidden since. */
async function allowed(may: () => boolean): Promise<void> {
  do await condition(may);
  while (!may() && patched('who was woken asks again'));
}

/**
 * A pause must not endanger the source: beyond `maxSlotLag` the capture goes on alone, into the spool, until the pipeline
 * is resumed or paused again.
 */
async function watchSlot(run: PipelineRun): Promise<void> {
  if (run.state !== 'paused') return;
  try {
    const { bytes, most } = await slotLag(run.name);
    if (bytes <= most || run.state !== 'paused') return;
    const kept = `the replication slot kept ${bytes} bytes, more than maxSlotLag (${most})`;
    const { state } = run.part('capture');
    run.spooling = state === 'running' || (state === 'migrating' && run.keepsUndecided);
    if (run.spooling) run.note(`paused, and ${kept}: the capture goes on alone, into the spool`);
    else run.noteOnce(`the capture is ${state} and must be resumed: `, `${kept}, and the source keeps all of it until then`);
    run.publish();
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    run.noteOnce('the replication slot of the paused pipeline could not be looked at: ', refusal(error)?.sentence ?? String(error));
    run.publish();
  }
}

/** One repair at a time, a while after the late changes came; it goes on whatever becomes of this run. */
function repairIfStale(run: PipelineRun): void {
  const afterMs = run.description?.repairAfterMs ?? 0;
  if (afterMs === 0 || !run.isStale || run.isRepairing || run.rotating || run.state !== 'running') return;
  if (patched('late changes are repaired')) void repaired(run, afterMs);
}

async function repaired(run: PipelineRun, afterMs: number): Promise<void> {
  run.isStale = false;
  run.isRepairing = true;
  try {
    const child = await startChild<typeof repair>('repair', {
      workflowId: repairWorkflowId(run.name),
      args: [{ pipeline: run.name, afterMs, definitionHash: run.description!.definitionHash }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: childAttributes(run.name, 'repair'),
      staticSummary: 'computes windows with late changes anew',
    });
    const { failed, left } = await child.result();
    if (failed.length > 0) run.noteOnce('late changes could not be put into their windows: ', failed[0]!);
    if (failed.length + left > 0) await triedLater(run, afterMs);
  } catch (error) {
    // one of an earlier run goes on, which may have looked already
    if (!(error instanceof WorkflowExecutionAlreadyStartedError) && !isCancellation(error)) run.noteOnce('the repair of late changes failed: ', reasonOf(error));
    await triedLater(run, afterMs);
  }
  run.isRepairing = false;
}

async function triedLater(run: PipelineRun, afterMs: number): Promise<void> {
  run.isStale = true;
  await condition(() => run.rotating, afterMs).catch(() => {});
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}

async function oneStep(run: PipelineRun, part: Part): Promise<StepEnd | undefined> {
  const until = run.hold && part.name in run.hold.waiting ? run.hold.position : undefined;
  try {
    const undecided = part.kind === 'capture' && isMigrating(run) ? run.part(part.name).last?.change : undefined;
    const result = await scoped(run, part.name, () => step(run.name, run.description!, part, until, run.number(part.name), undecided));
    // that there is nothing to wait for any more, whoever waits hears of from the migration
    run.stepped(part.name, undecided !== undefined && result.ended === 'changed' ? { ...result, ended: 'asked' } : result);
    return result.ended;
  } catch (error) {
    // a step that waited for its next attempt is cancelled without a result
    if (!isCancellation(error)) run.refused(part.name, refusal(error));
    return undefined;
  }
}

/** It goes on whatever becomes of this run, and says when it is over. */
async function migrate(run: PipelineRun): Promise<void> {
  const number = run.part('capture').last!.change!;
  try {
    await startChild<typeof migration>('migration', {
      workflowId: migrationWorkflowId(run.name, number),
      args: [{ pipeline: run.name, number }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      typedSearchAttributes: childAttributes(run.name, 'migration'),
      staticSummary: `the source's tables have other columns`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError) && !isCancellation(error)) throw error;
  }
}

async function scoped<T>(run: PipelineRun, name: string, work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  run.begins(name, scope);
  try {
    return await scope.run(work);
  } finally {
    run.ended(name);
  }
}

function rotateIfDue(run: PipelineRun, rotateAtEvents = Number.POSITIVE_INFINITY): void {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  // an update that waits for lanes needs this run's steps
  if (run.rotating || !(continueAsNewSuggested || historyLength >= rotateAtEvents) || !allHandlersFinished()) return;
  run.rotating = true;
  run.stop();
}
