import type { LaneKind } from '../core/define/lanes.ts';
import type { LaneState } from '../core/lane-state.ts';
import type { PipelineState } from '../core/pipeline-state.ts';
import type { Config } from '../core/config.ts';
import { quietCanaries } from '../core/quiet-canary.ts';
import type { ReconcileSummary } from '../core/reconcile-report.ts';
import type { SlotForecast } from '../core/slot-forecast.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import type { PartStatus, WorkflowStatus } from '../workflows/messages.ts';
import type { PartReport, ProgressByPart } from './progress.ts';
import { webUiUrl } from './web-ui.ts';

export type LaneStatus = {
  readonly name: string;
  readonly kind: LaneKind | 'capture';
  readonly state: LaneState;
  /** How far behind the source's commits its destination is; null: not known. */
  readonly lagMs: number | null;
  readonly fence: string | null;
  readonly eventsPerSecond: number;
  /** Events that its destination refused for their content, and that wait. */
  readonly deadLetters: number;
  /** Why it is parked or broken, or why its last attempt failed. */
  readonly error: string | null;
};

export type PipelineStatus = {
  readonly name: string;
  readonly state: PipelineState | 'unreachable';
  /** Why it is parked or unreachable. */
  readonly reason: string | null;
  readonly capture: LaneStatus | null;
  readonly lanes: readonly LaneStatus[];
  /** ISO time: no more events are expected from before it. */
  readonly watermark: string | null;
  readonly eventsPerSecond: number;
  readonly slotLagBytes: number | null;
  readonly spoolBytes: number | null;
  /** What the source keeps for the pipeline, and how long it can; null: nobody has looked of late. */
  readonly slot: SlotForecast | null;
  /** What the last reconcile found; null: none is known. */
  readonly reconciled: Reconciled | null;
  readonly notes: readonly string[];
  readonly started: string | null;
  readonly workflowId: string;
  readonly workflowUrl: string | null;
};

export type Reconciled = Pick<ReconcileSummary, 'state' | 'ended' | 'sentence' | 'workflowId'> & { readonly workflowUrl: string | null };

/** Reports older than this say nothing of the present rate. */
const staleMs = 10_000;
const staleSlotMs = 60_000;

/** What the workflow answered (or why it did not) together with what the parts reported. */
export function pipelineStatus(config: Config, name: string, answer: WorkflowStatus | string, progress: ProgressByPart, nowMs: number): PipelineStatus {
  const workflow = typeof answer === 'string' ? undefined : answer;
  const report = (part: string) => progress.get(`${name}/${part}`);
  // without a capture nobody knows what the source has written since; while Temporal is away it may well run (E25)
  const captures = workflow === undefined || workflow.capture.state === 'running';
  const captured = captures ? report('capture') : undefined;
  const canaryMs = (pipelines[name]?.settings.canaryMs ?? 0) * (captured?.eventsPerSecond === 0 ? quietCanaries : 1);
  const lane = (part: PartStatus) => laneStatus(part, report(part.name), captured, nowMs, canaryMs);
  const workflowId = pipelineWorkflowId(name);
  const watermarkMs = report('aggregate')?.watermarkMs ?? null;
  return {
    name,
    state: workflow?.state ?? 'unreachable',
    reason: typeof answer === 'string' ? answer : answer.error,
    capture: workflow ? lane(workflow.capture) : null,
    lanes: workflow?.lanes.map(lane) ?? [],
    watermark: watermarkMs === null ? null : new Date(watermarkMs).toISOString(),
    eventsPerSecond: rate(captured, nowMs),
    slotLagBytes: captured?.slotLagBytes ?? null,
    spoolBytes: report('capture')?.spoolBytes ?? null,
    slot: slotOf(report('source'), nowMs),
    reconciled: reconciledOf(config, report('reconcile')),
    notes: workflow?.notes ?? [],
    started: workflow?.started ?? null,
    workflowId,
    workflowUrl: webUiUrl(config, workflowId),
  };
}

function laneStatus({ name, kind, state, fence, error }: PartStatus, report: PartReport | undefined, captured: PartReport | undefined, nowMs: number, canaryMs: number): LaneStatus {
  return {
    name,
    kind,
    state,
    lagMs: captured ? lagMs(report, captured, nowMs, canaryMs) : null,
    // the report is fresher than the last step's result
    fence: report?.fence ?? fence,
    eventsPerSecond: state === 'running' ? rate(report, nowMs) : 0,
    deadLetters: report?.deadLetters ?? 0,
    error: error ?? report?.error ?? null,
  };
}

/**
 * At the captured position: how long its newest transaction took. Behind it: how old the oldest one that is missing is
 * at least, for after the newest applied one comes another within the canary's time.
 */
function lagMs(report: PartReport | undefined, captured: PartReport, nowMs: number, canaryMs: number): number | null {
  if (!report || report.lagMs === null || report.commitTimeMs === null) return null;
  const isBehind = captured.fence !== null && report.fence !== null && report.fence < captured.fence && captured.commitTimeMs !== report.commitTimeMs;
  return isBehind ? Math.max(report.lagMs, Math.round(Math.min(nowMs, captured.reportedAtMs) - report.commitTimeMs - canaryMs)) : report.lagMs;
}

function slotOf(report: PartReport | undefined, nowMs: number): SlotForecast | null {
  return report?.slot && nowMs - report.reportedAtMs < staleSlotMs ? report.slot : null;
}

function reconciledOf(config: Config, report: PartReport | undefined): Reconciled | null {
  if (!report?.reconcile) return null;
  const { state, ended, sentence, workflowId } = report.reconcile;
  return { state, ended, sentence, workflowId, workflowUrl: webUiUrl(config, workflowId) };
}

function rate(report: PartReport | undefined, nowMs: number): number {
  return report && nowMs - report.reportedAtMs < staleMs ? report.eventsPerSecond : 0;
}
