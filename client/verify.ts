import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import type { Config } from '../core/config.ts';
import type { Verification } from '../core/verification.ts';
import { taskQueue } from '../core/workflow-names.ts';
import type { VerifyWorkflowInput } from '../workflows/verify.ts';
import { startAttributes } from './search-attributes.ts';
import { assertPipeline } from './pipelines.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

/** The comparison could not be made; the message says why. */
export class CouldNotVerify extends Error {
  override readonly name = 'CouldNotVerify';
}

export type VerifyOptions = {
  /** Told as soon as the workflow runs; `url` is its page in the Web UI. */
  readonly onStarted?: (workflowId: string, url: string | null) => void;
  /** Ends it: lanes that are held go on, and it throws CouldNotVerify. */
  readonly signal?: AbortSignal;
};

/** Runs the verify workflow to its end. Throws UnknownName, or CouldNotVerify. */
export async function verifyPipeline(config: Config, name: string, { onStarted, signal }: VerifyOptions = {}): Promise<Verification> {
  assertPipeline(name);
  return withTemporal(config, async (client) => {
    const workflowId = `verify/${name}/${new Date().toISOString().replace('Z', '')}`;
    const input: VerifyWorkflowInput = { name };
    const handle = await client.workflow.start('verify', {
      workflowId,
      taskQueue,
      args: [input],
      typedSearchAttributes: startAttributes(name, 'verify', 'running'),
      staticSummary: `compares every sink of ${name} with its source`,
      workflowExecutionTimeout: longestMs,
    });
    onStarted?.(workflowId, webUiUrl(config, workflowId));
    const cancel = () => void handle.cancel().catch(() => {});
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    try {
      return (await handle.result()) as Verification;
    } catch (error) {
      if (error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure) throw new CouldNotVerify(`The comparison of ${name} was stopped before its end; the pipeline goes on.`, { cause: error });
      if (error instanceof WorkflowFailedError) throw new CouldNotVerify(error.cause?.message ?? error.message, { cause: error });
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
    }
  });
}

/** No worker, no answer: the workflow does not wait for one for ever. */
const longestMs = 2 * 3_600_000;
