import { WorkflowFailedError, type Client, type WorkflowHandle } from '@temporalio/client';
import type { ReplayInput } from '../activities/replay.ts';
import type { Config } from '../core/config.ts';
import type { ReplayReport } from '../core/dead-letters/replay-report.ts';
import { taskQueue } from '../core/workflow-names.ts';
import { startAttributes } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

/** The replay stopped; the message says why. What was not replayed waits on. */
export class CouldNotReplay extends Error {
  override readonly name = 'CouldNotReplay';
}

export type StartedReplay = { readonly workflowId: string; readonly workflowUrl: string | null };

/** Starts the replay workflow, and does not wait for its end. */
export function startReplay(config: Config, input: ReplayInput): Promise<StartedReplay> {
  return withTemporal(config, async (client) => startedReplay(config, await start(client, input)));
}

/** Runs the replay workflow to its end. Throws CouldNotReplay. */
export function replayLetters(config: Config, input: ReplayInput, onStarted: (started: StartedReplay) => void): Promise<ReplayReport> {
  return withTemporal(config, async (client) => {
    const handle = await start(client, input);
    onStarted(startedReplay(config, handle));
    try {
      return (await handle.result()) as ReplayReport;
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw new CouldNotReplay(error.cause?.message ?? error.message, { cause: error });
      throw error;
    }
  });
}

function start(client: Client, input: ReplayInput): Promise<WorkflowHandle> {
  const { pipeline, lane, id } = input;
  const which = id === undefined ? `dead letters of ${lane ?? 'every lane'}` : `dead letter ${id}`;
  return client.workflow.start('replay', {
    workflowId: `replay/${pipeline}/${new Date().toISOString().replace('Z', '')}`,
    taskQueue,
    args: [input],
    typedSearchAttributes: startAttributes(pipeline, 'replay', 'running'),
    staticSummary: `${which} of ${pipeline}, back through their lane`,
    workflowExecutionTimeout: '1 day',
  });
}

function startedReplay(config: Config, { workflowId }: WorkflowHandle): StartedReplay {
  return { workflowId, workflowUrl: webUiUrl(config, workflowId) };
}
