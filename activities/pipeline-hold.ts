import { WorkflowNotFoundError, WorkflowUpdateFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import type { Hold } from '../connectors/verification/verify-pipeline.ts';
import { NotComparable } from '../connectors/verification/not-comparable.ts';
import type { Position } from '../core/position.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';

/** What of a pipeline's workflow is used here; its own types are behind the arrows of the design. */
type Status = { readonly state: string; readonly capture: PartStatus; readonly lanes: readonly PartStatus[] };
type PartStatus = { readonly name: string; readonly state: string; readonly fence: string | null; readonly error: string | null };
type HoldReport = { readonly held: Readonly<Record<string, string>>; readonly notHeld: Readonly<Record<string, string>> };

export type HoldTimes = {
  /** For lanes to get there. */
  readonly reachMs: number;
  /** From the beginning of the hold to its end, whatever happens. */
  readonly longestMs: number;
};

/**
 * Brings the lanes of a running pipeline to one position. Only the capture is stopped while the position is chosen, for
 * a lane cannot pass what was not captured yet; it goes on as soon as no lane runs a step without an end. The pipeline's
 * workflow undoes both by itself when their time is over: whoever asked for them may be gone for good.
 */
export class PipelineHold implements Hold {
  readonly #handle: WorkflowHandle;
  readonly #pipeline: string;
  readonly #times: HoldTimes;
  readonly #signal: AbortSignal;
  /** Where each lane is held. */
  #held: HoldReport['held'] = {};
  /** What the pipeline knows it by. */
  readonly #id: string;
  /** Holds that may be there, or on their way. */
  readonly #toRelease: Set<string>;

  /** `ids`: the last is its own, and holds nothing more once it was released; attempts before this one may have left the others. */
  constructor(client: Client, options: { pipeline: string; times: HoldTimes; ids: readonly string[]; signal: AbortSignal }) {
    this.#handle = client.workflow.getHandle(pipelineWorkflowId(options.pipeline));
    this.#pipeline = options.pipeline;
    this.#times = options.times;
    this.#signal = options.signal;
    this.#id = options.ids.at(-1)!;
    this.#toRelease = new Set(options.ids.slice(0, -1));
  }

  async stop(): Promise<void> {
    this.#assertRuns(await this.#status());
    await this.#ask('stopCapture', { timeoutMs: this.#times.longestMs });
  }

  async at(position: Position): Promise<void> {
    const { reachMs, longestMs } = this.#times;
    const report = await this.#ask<HoldReport>('holdAt', { position, timeoutMs: longestMs });
    this.#held = report.held;
    const notHeld = Object.entries(report.notHeld).map(([lane, why]) => `${lane}: ${why}`);
    if (notHeld.length > 0) throw new NotComparable(`Not every lane of ${this.#pipeline} could be held at ${position} within ${reachMs / 1000} s, or at all (${notHeld.join('; ')}). See ./sluice status, and run verify again.`);
  }

  #ask<T>(name: 'stopCapture' | 'holdAt', request: object): Promise<T> {
    this.#toRelease.add(this.#id);
    return this.#comparable(() => this.#retryingRotation(() => this.#inTime<T>(name, { ...request, id: this.#id })));
  }

  /** What is not reached in time, or not wanted any more, is released: then the update ends too. */
  async #inTime<T>(name: string, request: object): Promise<T> {
    this.#signal.throwIfAborted();
    const update = await this.#handle.startUpdate<T, [object]>(name, { args: [request], waitForStage: 'ACCEPTED' });
    const end = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#times.reachMs)]);
    const release = () => void this.#handle.signal('releaseHold', this.#id).catch(() => {});
    if (end.aborted) release();
    end.addEventListener('abort', release, { once: true });
    return update.result().finally(() => end.removeEventListener('abort', release));
  }

  async kept(): Promise<void> {
    const { lanes } = await this.#status();
    const moved = lanes.find(({ name, state, fence }) => state !== 'held' || fence !== this.#held[name]);
    if (!moved) return;
    throw new NotComparable(
      `Lane ${moved.name} of ${this.#pipeline} was let go before everything was compared: somebody paused, resumed or drained the pipeline, or it took longer than ${this.#times.longestMs / 60_000} minutes. Run verify again.`,
    );
  }

  /** Nothing of what was done is left to be undone. */
  get isLetGo(): boolean {
    return this.#toRelease.size === 0;
  }

  async release(): Promise<void> {
    if (!this.isLetGo) await this.#handle.signal('releaseHold', ...this.#toRelease);
    this.#toRelease.clear();
  }

  #status(): Promise<Status> {
    return this.#handle.query<Status>('status').catch((error: unknown) => {
      throw error instanceof WorkflowNotFoundError ? error : notAnswered(this.#pipeline, error);
    });
  }

  #assertRuns({ state, capture, lanes }: Status): void {
    if (state !== 'running') throw new NotComparable(`Pipeline ${this.#pipeline} is ${state}, and only a running one can be compared. Type ./sluice resume ${this.#pipeline}, and run verify again.`);
    const idle = [capture, ...lanes].find((part) => part.state !== 'running');
    if (idle?.state === 'held') throw new NotComparable(`${idle === capture ? 'The capture' : `Lane ${idle.name}`} of ${this.#pipeline} is held, as by another verify: run this one again when that has ended. If there is none, type ./sluice resume ${this.#pipeline} --lane ${idle.name} first.`);
    if (idle?.state === 'migrating') throw new NotComparable(`The capture of ${this.#pipeline} is migrating (${idle.error}). Run verify again when that is over.`);
    if (idle) throw new NotComparable(`${idle === capture ? 'The capture' : `Lane ${idle.name}`} of ${this.#pipeline} is ${idle.state}${idle.error === null ? '' : ` (${idle.error})`}. Type ./sluice resume ${this.#pipeline} --lane ${idle.name}, and run verify again.`);
  }

  /** A fresh run takes over within a second or two, and answers then. */
  async #retryingRotation<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask();
      } catch (error) {
        if (!isRotating(error) || tries === 20) throw error;
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    }
  }

  async #comparable<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof WorkflowUpdateFailedError)) throw error;
      throw new NotComparable(`Pipeline ${this.#pipeline} refused to be held: ${error.cause?.message ?? error.message}. See ./sluice status, and run verify again later.`, { cause: error });
    }
  }
}

/** Temporal keeps the reason beside its message. Exported for its test. */
export function notAnswered(pipeline: string, error: unknown): NotComparable {
  const { details } = ((error as Error).cause ?? {}) as { details?: string };
  return new NotComparable(`The workflow of ${pipeline} does not answer (${details ?? (error as Error).message}), so its lanes cannot be held. See ./sluice status, which says why, and ./sluice logs worker; then run verify again.`, { cause: error });
}

function isRotating(error: unknown): boolean {
  return error instanceof WorkflowUpdateFailedError && (error.cause as { type?: string } | undefined)?.type === 'Rotating';
}
