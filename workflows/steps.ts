import { ActivityCancellationType, CancellationScope, proxyActivities, proxyLocalActivities, type ActivityOptions, type LocalActivityOptions } from '@temporalio/workflow';
import type { Activities, Description, LaneStepInput, LoadResult, SlotLag, StepResult, StopInput, TakeOver } from '../activities/steps.ts';
import { bugFailure, configurationFailure } from '../core/failure-types.ts';
import { captureStepMsOf } from '../core/heartbeat.ts';
import type { Position } from '../core/position.ts';
import { stepWindow, windowText } from '../core/step-window.ts';
import type { Part } from './messages.ts';

const untilDone = '24 hours';

/**
 * E22: the workflow believes a step stopped only when it did. E23: attempts are never counted anew while an activity
 * lives, so the longest pause between two of them is short.
 */
const options = {
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: 100, backoffCoefficient: 2, maximumInterval: 5_000, nonRetryableErrorTypes: [configurationFailure, bugFailure] },
} satisfies ActivityOptions;

const activities = proxyActivities<Activities>({ ...options, startToCloseTimeout: '1 minute' });

export function describe(pipeline: string): Promise<Description> {
  return activities.describe.executeWithOptions({ ...options, activityId: 'describe', summary: 'reads the definition', startToCloseTimeout: '30 seconds' }, [{ pipeline }]);
}

export function firstLoad(pipeline: string, { definitionHash, heartbeatMs, lanes }: Description, number: number | undefined): Promise<LoadResult> {
  const summary = `first load of ${lanes.filter(({ reads }) => reads === 'segments').length} lanes`;
  return activities.firstLoad.executeWithOptions(
    { ...options, activityId: 'first load', summary, startToCloseTimeout: untilDone, heartbeatTimeout: heartbeatTimeoutMs(heartbeatMs) },
    [{ pipeline, definitionHash, heartbeatMs, ...numbered(number) }],
  );
}

export function forgetLoad(pipeline: string, epoch: number): Promise<void> {
  return activities.forgetLoad.executeWithOptions({ ...options, activityId: 'forget load', summary: `gives up the stream of load ${epoch}`, startToCloseTimeout: '30 seconds' }, [{ pipeline, epoch }]);
}

export function takeOver(pipeline: string, number: number, what: TakeOver): Promise<Description> {
  const summary = what === 'become' ? `becomes what redefinition ${number} makes of it` : `gets the lanes that redefinition ${number} has filled`;
  return activities.takeOver.executeWithOptions({ ...options, activityId: 'take over', summary, startToCloseTimeout: '5 minutes', heartbeatTimeout: '5 seconds' }, [{ pipeline, number, what }]);
}

/** One look: the next one comes soon enough. */
export function slotLag(pipeline: string): Promise<SlotLag> {
  const once: ActivityOptions = { ...options, activityId: 'slot lag', summary: 'what the paused slot keeps', startToCloseTimeout: '15 seconds', retry: { maximumAttempts: 1 }, cancellationType: ActivityCancellationType.TRY_CANCEL };
  return activities.slotLag.executeWithOptions(once, [{ pipeline }]);
}

/** One step of a lane or of the capture, to the end of its window on the clock. `undecided`: of the capture, the number of the change that it waits for. */
export function step(pipeline: string, { definitionHash, stepMs, heartbeatMs }: Description, part: Part, until: Position | undefined, number: number | undefined, undecided?: number): Promise<StepResult> {
  const now = Date.now();
  const window = stepWindow(now, part.kind === 'capture' ? captureStepMsOf(stepMs) : stepMs);
  const input = { pipeline, definitionHash, heartbeatMs, durationMs: window.endMs - now, ...numbered(number) };
  const stepOptions: ActivityOptions = {
    ...options,
    activityId: part.name,
    summary: `${part.name} ${windowText(window)}${until === undefined ? '' : ' to a held position'}${undecided === undefined ? '' : `, while migration ${undecided} is not over`}`,
    startToCloseTimeout: input.durationMs + 60_000,
    heartbeatTimeout: heartbeatTimeoutMs(heartbeatMs),
  };
  if (part.kind === 'capture') return activities.capture.executeWithOptions(stepOptions, [{ ...input, ...(undecided === undefined ? {} : { undecided }) }]);
  const laneInput: LaneStepInput = { ...input, lane: part.name, ...(until === undefined ? {} : { until }) };
  return activities[part.kind].executeWithOptions(stepOptions, [laneInput]);
}

/** The task that cancels the steps is answered only after this. */
const stopOptions = { startToCloseTimeout: '1 second', scheduleToCloseTimeout: '1 second', retry: { maximumAttempts: 1 } } satisfies LocalActivityOptions;
const { stopSteps: tell } = proxyLocalActivities<Activities>(stopOptions);

/** Tells steps that they are stopped, of which their cancellation tells them too, with a heartbeat (E26). Never throws. */
export async function stopSteps(steps: StopInput['steps']): Promise<void> {
  const summary = `tells ${Object.keys(steps).join(', ')} to end`;
  await CancellationScope.nonCancellable(() => tell.executeWithOptions({ ...stopOptions, summary }, [{ steps }])).catch(() => {});
}

function numbered(number: number | undefined): { number?: number } {
  return number === undefined ? {} : { number };
}

function heartbeatTimeoutMs(heartbeatMs: number): number {
  return Math.max(5_000, 3 * heartbeatMs);
}
