import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { ActivityCancellationType, ChildWorkflowCancellationType, ParentClosePolicy, defineQuery, executeChild, getExternalWorkflowHandle, isCancellation, proxyActivities, setCurrentDetails, setHandler, startChild, upsertSearchAttributes, type ActivityOptions } from '@temporalio/workflow';
import type { BootstrapActivities } from '../activities/bootstrap.ts';
import type { BeginInput, RedefineActivities } from '../activities/redefine.ts';
import { findingLines, loses, otherFileText, replacedText, wrongText, type BootstrapRequest, type BootstrapStatus, type Comparison } from '../core/bootstrap.ts';
import { destroyedText, destroyWorkflowId } from '../core/destroy.ts';
import type { Finding } from '../core/doctor.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { rotateAtEvents } from '../core/rotate-at-events.ts';
import { losesText, redefineLines, redefineWorkflowId } from '../core/redefine.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import type { destroy } from './destroy.ts';
import { resume, resumeLane } from './messages.ts';
import type { pipeline } from './pipeline.ts';
import type { redefine } from './redefine.ts';
import { childAttributes, stateAttribute } from './search-attributes.ts';

export const progress = defineQuery<BootstrapStatus>('progress');

const options = {
  startToCloseTimeout: '2 minutes',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 250, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
// a first load takes as long as it takes; a worker that died is seen by its heartbeats
const following = { ...options, startToCloseTimeout: '30 days', heartbeatTimeout: '10 seconds' } satisfies ActivityOptions;
const activities = proxyActivities<BootstrapActivities & RedefineActivities>(options);

/** Makes a pipeline run that is defined: looks whether it can, starts it or has it take over what changed, and waits until it streams. */
export async function bootstrap(request: BootstrapRequest): Promise<BootstrapStatus> {
  const run = new Run(request);
  setHandler(progress, () => run.status());
  try {
    await run.go();
    run.state = 'done';
  } catch (error) {
    run.state = isCancellation(error) ? 'cancelled' : 'failed';
    run.error = isCancellation(error) ? 'It was cancelled; what was started goes on.' : reasonOf(error);
    if (run.state === 'cancelled') throw error;
    throw ApplicationFailure.nonRetryable(run.error, configurationFailure);
  } finally {
    run.publish();
  }
  return run.status();
}

class Run {
  readonly #request: BootstrapRequest;
  state: BootstrapStatus['state'] = 'running';
  error: string | null = null;
  #comparison: Comparison | null = null;
  #findings: readonly Finding[] = [];
  #said: string[] = [];
  #phase = 'looks what there is';

  constructor(request: BootstrapRequest) {
    this.#request = request;
  }

  async go(): Promise<void> {
    const { pipeline: name, written, allow = false, keepResults = false, dryRun = false } = this.#request;
    this.publish();
    this.#comparison = await activities.compareDefinition.executeWithOptions({ ...options, summary: 'what there is, and what would change' }, [{ pipeline: name, written }]);
    const { worker, isChanged, changes, loaded, isRunning, redefine: plan, filling, detached = [], rejoins } = this.#comparison;
    const hasMore = plan !== undefined || filling !== undefined || detached.length > 0;
    // first: a worker that reads another definition would refuse the steps of what runs
    if (isChanged && !allow) throw new Refused(replacedText(name, changes));
    if (plan && loses(this.#comparison) && !allow && !dryRun) throw new Refused(losesText(name, plan));
    if (worker.length > 0) throw new Refused(otherFileText(name, worker, dryRun));
    this.#say(isRunning ? `${name} runs already` : loaded === 'loaded' ? `${name} is loaded, and does not run` : `nothing of ${name} is loaded yet`);
    this.#phase = 'asks the services, and the source about its tables';
    this.publish();
    this.#findings = await activities.examine.executeWithOptions({ ...options, summary: 'whether services and tables are as they must be' }, [{ pipeline: name, asNew: isChanged }]);
    if (this.#findings.some(({ state }) => state === 'wrong')) throw new Refused(wrongText(name, this.#findings));
    this.#say(`services and tables are as they must be${this.#findings.length > 0 ? ', with warnings' : ''}`);
    if (plan) for (const line of redefineLines(plan)) this.#say(line);
    if (filling !== undefined) this.#say(`redefinition ${filling} is not complete yet`);
    for (const line of detached) this.#say(line);
    if (dryRun) return this.#say(hasMore ? `that would be done while it runs${loses(this.#comparison) ? ', if it is allowed (--allow)' : ''}` : isChanged ? 'it would be destroyed, and loaded from nothing' : isRunning ? 'it would take over settings and addresses; whatever is parked would try again' : loaded === 'loaded' ? 'it would go on from its fences' : 'its publication, slot and tables would be made, and its tables loaded');
    if (isChanged) await this.#destroyed(name);
    await this.#started(name);
    // first: what does not get on may be what is to end
    if (hasMore) await this.#redefined({ pipeline: name, keepResults, written, allow, ...(rejoins ? { rejoins } : {}) });
    await this.#streams(name);
  }

  /** One that is not complete first. Each goes on whatever becomes of this. */
  async #redefined(asked: BeginInput): Promise<void> {
    const { pipeline: name } = asked;
    for (;;) {
      const number = await activities.beginRedefinition.executeWithOptions({ ...options, summary: 'what is to become of it' }, [asked]);
      if (number === null) return;
      const workflowId = redefineWorkflowId(name, number);
      this.#phase = `waits for ${workflowId}`;
      this.publish();
      try {
        await executeChild<typeof redefine>('redefine', { workflowId, args: [{ pipeline: name, number }], parentClosePolicy: ParentClosePolicy.ABANDON, cancellationType: ChildWorkflowCancellationType.ABANDON, typedSearchAttributes: childAttributes(name, 'redefine'), staticSummary: `changes ${name} in place` });
        this.#say(`redefinition ${number} is complete`);
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        await activities.followRedefinition.executeWithOptions({ ...following, summary: `until redefinition ${number} is over` }, [{ pipeline: name, number }]);
      }
    }
  }

  /** As when one types it; that goes on to its end whatever becomes of this. */
  async #destroyed(name: string): Promise<void> {
    this.#phase = 'drops what was loaded of another definition';
    this.publish();
    const request = { pipeline: name, keepResults: false };
    const status = await executeChild<typeof destroy>('destroy', { workflowId: destroyWorkflowId(request), args: [request], parentClosePolicy: ParentClosePolicy.ABANDON, cancellationType: ChildWorkflowCancellationType.ABANDON, typedSearchAttributes: childAttributes(name, 'destroy'), staticSummary: `what was loaded of another definition of ${name}` });
    if (status.state !== 'done') throw new Refused(destroyedText(status));
    this.#say('what was loaded of another definition was dropped');
  }

  async #started(name: string): Promise<void> {
    this.#phase = 'starts it';
    this.publish();
    const workflowId = pipelineWorkflowId(name);
    try {
      await startChild<typeof pipeline>('pipeline', { workflowId, args: [{ name, rotateAtEvents }], parentClosePolicy: ParentClosePolicy.ABANDON, cancellationType: ChildWorkflowCancellationType.ABANDON, typedSearchAttributes: childAttributes(name, 'pipeline', 'loading'), staticSummary: `pipeline ${name}` });
      return this.#say(`${workflowId} was started`);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const stuck = await activities.reload.executeWithOptions({ ...options, summary: 'takes over settings and addresses' }, [{ pipeline: name }]);
    // whoever applies it may have mended what parked it; what was paused on purpose stays so
    const running = getExternalWorkflowHandle(workflowId);
    for (const part of stuck) await (part === 'pipeline' ? running.signal(resume) : running.signal(resumeLane, part));
    this.#say(`settings and addresses were taken over${stuck.length > 0 ? `; ${stuck.join(', ')} was parked and tries again` : ''}`);
  }

  async #streams(name: string): Promise<void> {
    this.#phase = 'waits until it streams';
    this.publish();
    const { behind, rows } = await activities.followStart.executeWithOptions({ ...following, summary: 'until what is written comes through' }, [{ pipeline: name }]);
    if (rows !== null) this.#say(`its first load read at least ${rows.toLocaleString('en')} rows`);
    this.#say(behind === null ? 'it streams: what is written comes through to every destination' : `it runs, and goes on trying, but does not stream yet: it waits for ${behind}`);
  }

  #say(sentence: string): void {
    this.#said = [...this.#said, sentence];
    this.publish();
  }

  status(): BootstrapStatus {
    const { written: _, ...request } = this.#request;
    return { ...request, state: this.state, comparison: this.#comparison, findings: this.#findings, said: this.#said, phase: this.#phase, error: this.error };
  }

  publish(): void {
    const { pipeline: name } = this.#request;
    const lines = [...this.#said, ...this.#findings.flatMap(findingLines), ...(this.error === null ? [] : [this.error])];
    setCurrentDetails(`# ${name}: apply, ${this.state}\n${this.state === 'running' ? `${this.#phase}\n` : ''}\`\`\`\n${lines.join('\n')}\n\`\`\``);
    if (this.state !== 'running') upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }
}

/** With the sentence that says why, and what to type. */
class Refused extends Error {
  override readonly name = 'Refused';
}

function reasonOf(error: unknown): string {
  const cause = error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
