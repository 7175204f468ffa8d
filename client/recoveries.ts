import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import type { Config } from '../core/config.ts';
import { recoveryWorkflowId, type RecoveryInput, type RecoveryStatus } from '../core/recovery.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

export class RecoveryFailed extends Error {
  override readonly name = 'RecoveryFailed';
}

export type RecoverOptions = {
  /** Only the rows of this destination, whatever it lacks. */
  readonly lane?: string | undefined;
  readonly onStarted?: (workflowId: string, url: string | null) => void;
  /** Is asked with the plan. False: nothing is done. */
  readonly approve: (status: RecoveryStatus) => Promise<boolean>;
  readonly onProgress?: (status: RecoveryStatus) => void;
};

/** Runs the recovery workflow to its end. Throws RecoveryFailed. */
export function recoverPipeline(config: Config, pipeline: string, { lane, onStarted, approve, onProgress }: RecoverOptions): Promise<RecoveryStatus> {
  return withTemporal(config, async (client) => {
    const workflowId = recoveryWorkflowId(pipeline, new Date());
    const input: RecoveryInput = { pipeline, approved: false, ...(lane !== undefined && { lane }) };
    const handle = await client.workflow.start('recovery', { workflowId, taskQueue, args: [input], typedSearchAttributes: startAttributes(pipeline, 'recovery', 'planning'), staticSummary: 'states what the stream or a destination lacks, and has it read again' });
    onStarted?.(workflowId, webUiUrl(config, workflowId));
    const planned = await until(handle, ({ state }) => state !== 'planning', () => {});
    if (planned.state === 'waiting') {
      if (await approve(planned)) await handle.executeUpdate('approve');
      else await handle.cancel();
    }
    const ended = await until(handle, ({ state }) => state === 'done' || state === 'failed' || state === 'cancelled', onProgress ?? (() => {}));
    if (ended.state === 'failed') throw new RecoveryFailed(ended.error ?? 'it failed');
    return ended;
  });
}

async function until(handle: WorkflowHandle, reached: (status: RecoveryStatus) => boolean, told: (status: RecoveryStatus) => void): Promise<RecoveryStatus> {
  for (;;) {
    try {
      const status = await handle.query<RecoveryStatus>('status');
      told(status);
      if (reached(status)) return status;
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw new RecoveryFailed(error.cause?.message ?? error.message, { cause: error });
      throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

const lookMs = 500;
