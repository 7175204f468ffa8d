import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import type { Config } from '../core/config.ts';
import { repairWorkflowId, type RepairInput, type RepairReport } from '../core/repair.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

export class RepairFailed extends Error {
  override readonly name = 'RepairFailed';
}

/** Windows with late changes are computed anew now, not when the pipeline's own repair comes to it; waits for the end. Throws RepairFailed. */
export function repairPipeline(config: Config, pipeline: string, onStarted: (workflowId: string, url: string | null) => void = () => {}): Promise<RepairReport> {
  return withTemporal(config, async (client) => {
    const workflowId = `${repairWorkflowId(pipeline)}/${randomUUID()}`;
    const input: RepairInput = { pipeline, afterMs: 0, restMs: 0, isAsked: true };
    const handle = await client.workflow.start('repair', { workflowId, taskQueue, args: [input], typedSearchAttributes: startAttributes(pipeline, 'repair', 'running'), staticSummary: 'computes windows with late changes anew' });
    onStarted(workflowId, webUiUrl(config, workflowId));
    try {
      return (await handle.result()) as RepairReport;
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw new RepairFailed(error.cause?.message ?? error.message, { cause: error });
      throw error;
    }
  });
}
