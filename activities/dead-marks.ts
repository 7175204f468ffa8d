import { WorkflowNotFoundError, type Client as TemporalClient } from '@temporalio/client';
import type { AggregateSink } from '../connectors/aggregate/aggregate-sink.ts';

/** Of the workflow run that marks panes: no other marks any under it. */
export function markName({ workflowId, runId }: { readonly workflowId: string; readonly runId: string }): string {
  return `${workflowId} ${runId}`;
}

/** A workflow that was terminated has tidied up nothing: its panes would stay marked, and every change in them would be kept for nobody. */
export async function endMarksOfTheDead(client: TemporalClient, panes: AggregateSink, own?: string): Promise<void> {
  for (const { backfill: name, fromMs, toMs, fills } of await panes.rebuilding()) {
    // what was added to a pipeline is to be filled, whoever comes to it
    if (fills) continue;
    const place = name.lastIndexOf(' ');
    if (toMs > fromMs && name !== own && !(await isRunning(client, name.slice(0, place), name.slice(place + 1)))) await panes.endRebuild(name);
  }
}

/** Without a run its newest. */
export async function isRunning(client: TemporalClient, workflowId: string, runId?: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflowId, runId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
