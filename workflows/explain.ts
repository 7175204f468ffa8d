import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities, setCurrentDetails, type ActivityOptions } from '@temporalio/workflow';
import type { ExplainActivities } from '../activities/explain.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { explainedText, type ExplainedWindow, type ExplainRequest } from '../core/explained-window.ts';

const options = {
  startToCloseTimeout: '15 minutes',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 500, maximumAttempts: 3, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;
const activities = proxyActivities<ExplainActivities>(options);

/** One window: what the source has, what each sink has, and how they differ. Nothing is held. */
export async function explain(request: ExplainRequest): Promise<ExplainedWindow> {
  const title = `# ${request.pipeline}: a window of ${request.view}`;
  setCurrentDetails(title);
  try {
    const explained = await activities.explainWindow.executeWithOptions({ ...options, summary: `what there is at ${new Date(request.atMs).toISOString()}` }, [request]);
    setCurrentDetails(`${title}\n\`\`\`\n${explainedText(explained).replaceAll('```', "'''")}\n\`\`\``);
    return explained;
  } catch (error) {
    // its sentence, and not that an activity failed
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
    setCurrentDetails(`${title}\n\`\`\`\n${cause?.message ?? String(error)}\n\`\`\``);
    throw cause instanceof ApplicationFailure ? cause : error;
  }
}
