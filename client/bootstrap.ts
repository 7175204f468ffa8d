import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError } from '@temporalio/client';
import { BadInput } from '../core/bad-input.ts';
import { bootstrapWorkflowId, type BootstrapRequest, type BootstrapStatus } from '../core/bootstrap.ts';
import type { Config } from '../core/config.ts';
import { writtenDefinition } from '../core/define/definition-hash.ts';
import { destroyWorkflowId } from '../core/destroy.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { followed, heartbeatOf } from './follow.ts';
import { isRunning } from './is-running.ts';
import { assertPipeline } from './pipelines.ts';
import { ensureSchedule } from './reconciliations.ts';
import { registerSearchAttributes, startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

export type StartedBootstrap = { readonly workflowId: string; readonly workflowUrl: string | null };

/** Starts it, and does not wait for its end. Throws UnknownName, or BadInput while another one goes on, or a destroy. */
export async function startBootstrap(config: Config, choice: Omit<BootstrapRequest, 'written'>): Promise<StartedBootstrap> {
  const { pipeline } = choice;
  assertPipeline(pipeline);
  const request: BootstrapRequest = { ...choice, written: writtenDefinition(pipelines[pipeline]!) };
  return withTemporal(config, async (client, connection) => {
    await registerSearchAttributes(connection, config.temporalNamespace);
    const destroying = destroyWorkflowId({ pipeline });
    if (await isRunning(client, destroying)) throw new BadInput(`${pipeline} is being destroyed: see ${webUiUrl(config, destroying) ?? destroying}, and type ./sluice apply ${pipeline} when that is over.`);
    if (!request.dryRun) await ensureSchedule(client, pipeline);
    const workflowId = bootstrapWorkflowId(request);
    try {
      await client.workflow.start('bootstrap', {
        workflowId,
        taskQueue,
        args: [request],
        typedSearchAttributes: startAttributes(pipeline, 'bootstrap', 'running'),
        staticSummary: `${request.dryRun ? 'says what it needs to make' : 'makes'} ${pipeline} run`,
      });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) throw new BadInput(`${pipeline} is being applied already: see ${webUiUrl(config, workflowId) ?? workflowId}`, { cause: error });
      throw error;
    }
    return { workflowId, workflowUrl: webUiUrl(config, workflowId) };
  });
}

/** Waits for its end, however that is, and tells how it goes about once a second. `signal`: looks no longer; it goes on. */
export function followBootstrap(config: Config, workflowId: string, onStatus: (status: BootstrapStatus) => void, signal?: AbortSignal): Promise<BootstrapStatus> {
  return withTemporal(config, async (client) => {
    const handle = client.workflow.getHandle(workflowId);
    const status = async (): Promise<BootstrapStatus> => {
      const now = await handle.query<BootstrapStatus>('progress');
      const told = now.state === 'running' ? await heartbeatOf<{ readonly phase: string }>(handle, 'followStart') : undefined;
      return told ? { ...now, phase: told.phase } : now;
    };
    try {
      return await followed(handle, status, onStatus, signal);
    } catch (error) {
      if (!(error instanceof WorkflowFailedError)) throw error;
      const ended = await status();
      // whoever terminates it in Temporal, the workflow does not hear of it
      return ended.state === 'running' ? { ...ended, state: 'failed', error: 'It was ended in Temporal; what was started goes on.' } : ended;
    }
  });
}
