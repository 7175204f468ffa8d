import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import { ActivityCancellationType, proxyActivities, setCurrentDetails, type ActivityOptions } from '@temporalio/workflow';
import type { ReplayActivities, ReplayInput } from '../activities/replay.ts';
import { replayText, waitingIn, type LaneReplay, type ReplayReport } from '../core/dead-letters/replay-report.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';

const options = {
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: '10 seconds',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  // a destination that is away for longer gets them another time
  retry: { initialInterval: 500, maximumInterval: 15_000, maximumAttempts: 12, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;

const activities = proxyActivities<ReplayActivities>(options);

/** Brings dead letters to their destinations, lane by lane, while the lanes go on. Rows never enter its history. */
export async function replay(input: ReplayInput): Promise<ReplayReport> {
  const { pipeline } = input;
  const lanes: Record<string, LaneReplay> = {};
  const report = { pipeline, lanes };
  try {
    const wanted = await activities.lanesToReplay.executeWithOptions({ ...options, summary: 'which lanes have letters' }, [input]);
    for (const lane of wanted) {
      setCurrentDetails(page(`${pipeline}: replaying dead letters of ${lane}`, report));
      lanes[lane] = await activities.replay.executeWithOptions({ ...options, activityId: lane, summary: `dead letters of ${lane}` }, [{ ...input, lane }]);
    }
    setCurrentDetails(page(`${pipeline}: ${waitingIn(report) === 0 ? 'replayed' : 'SOME LETTERS WAIT ON'}`, report));
    return report;
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : undefined;
    setCurrentDetails(`${page(`${pipeline}: the replay stopped`, report)}\n\`\`\`\n${cause?.message ?? String(error)}\n\`\`\`\nWhat was not replayed waits on: \`./sluice dlq replay ${pipeline}\``);
    throw cause instanceof ApplicationFailure ? cause : error;
  }
}

function page(title: string, report: ReplayReport): string {
  return `# ${title}\n\`\`\`\n${replayText(report)}\n\`\`\``;
}
