import { Context } from '@temporalio/activity';
import { recordStopped } from '../connectors/postgres/stopped-steps.ts';
import type { Runtime } from './runtime.ts';
import type { StopInput } from './steps.ts';

/**
 * Tells steps that their run has stopped them. A local activity: the workflow task that cancels them waits for it, so it
 * ends with its short time, though the state database may be away.
 */
export async function stopSteps({ state }: Pick<Runtime, 'state'>, { steps }: StopInput): Promise<void> {
  const { cancelled, info } = Context.current();
  await Promise.race([recordStopped(state, info.workflowExecution!.runId, steps), cancelled]);
}
