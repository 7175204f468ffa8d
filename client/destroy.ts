import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { destroyWorkflowId, type DestroyRequest, type DestroyStatus } from '../core/destroy.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { followed } from './follow.ts';
import { registerSearchAttributes, startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

export type StartedDestroy = { readonly workflowId: string; readonly workflowUrl: string | null };

/** Starts it, and does not wait for its end. Throws BadInput while another one goes on. Which pipelines there are, its workers know. */
export function startDestroy(config: Config, request: DestroyRequest): Promise<StartedDestroy> {
  const { pipeline, keepResults, dryRun } = request;
  return withTemporal(config, async (client, connection) => {
    await registerSearchAttributes(connection, config.temporalNamespace);
    const workflowId = destroyWorkflowId(request);
    try {
      await client.workflow.start('destroy', {
        workflowId,
        taskQueue,
        args: [request],
        typedSearchAttributes: startAttributes(pipeline, 'destroy', 'running'),
        staticSummary: `${dryRun ? 'says what there is of' : 'drops'} ${pipeline}${keepResults ? ', but its results' : ''}`,
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw new BadInput(`${pipeline} is being destroyed already: see ${webUiUrl(config, workflowId) ?? workflowId}`, { cause: error });
      throw error;
    }
    return { workflowId, workflowUrl: webUiUrl(config, workflowId) };
  });
}

/** Waits for its end, however that is, and tells how it goes about once a second. `signal`: looks no longer; it goes on. */
export function followDestroy(config: Config, workflowId: string, onStatus: (status: DestroyStatus) => void, signal?: AbortSignal): Promise<DestroyStatus> {
  return withTemporal(config, async (client) => {
    const handle = client.workflow.getHandle(workflowId);
    const status = () => handle.query<DestroyStatus>('progress');
    try {
      return await followed(handle, status, onStatus, signal);
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      const ended = await status();
      // whoever terminates it in Temporal, the workflow does not hear of it
      return ended.state === 'running' ? { ...ended, state: 'cancelled' } : ended;
    }
  });
}
