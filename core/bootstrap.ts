import type { Finding } from './doctor.ts';
import type { LaneState } from './lane-state.ts';
import type { PipelineState } from './pipeline-state.ts';
import type { Position } from './position.ts';
import type { RedefinePlan } from './redefine.ts';

/** What an apply is asked for. */
export type BootstrapRequest = {
  readonly pipeline: string;
  /** The definition as whoever asks has it (`writtenDefinition`): workers may have read an older file. */
  readonly written: string;
  /** What loses something may be done; what cannot be changed in place may be dropped and made from nothing. */
  readonly allow?: boolean;
  /** Of what ends when it is changed in place, destinations keep what they have. */
  readonly keepResults?: boolean;
  /** Only says what is not as it must be, and what would be done. */
  readonly dryRun?: boolean;
};

/** What there is of a pipeline, and how its definition differs from it. */
export type Comparison = {
  /** By the file that a worker has read, from that of whoever asks; empty: they are the same. */
  readonly worker: readonly string[];
  /** What was loaded is of another definition than the one that is to be applied, and cannot be changed in place. */
  readonly isChanged: boolean;
  /** It can be changed in place so. Missing: there is nothing to change, or it cannot, or histories of before it was done. */
  readonly redefine?: RedefinePlan;
  /** The number of a redefinition that is not complete. */
  readonly filling?: number;
  /** What becomes of lanes that were detached, a line each. */
  readonly detached?: readonly string[];
  /** The same lanes, each with when it was detached: what becomes of others, and of these once more, nobody has asked for. */
  readonly rejoins?: Readonly<Record<string, string>>;
  /** How so; empty if that is not known. */
  readonly changes: readonly string[];
  /** new: nothing was loaded, or not to the end. */
  readonly loaded: 'new' | 'loaded';
  /** Its workflow runs. */
  readonly isRunning: boolean;
};

/** What the query `progress` says. */
export type BootstrapStatus = Omit<BootstrapRequest, 'written'> & {
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  readonly comparison: Comparison | null;
  /** Of the doctor: warnings, and what is wrong. */
  readonly findings: readonly Finding[];
  /** What was done, or was there already, in its order. */
  readonly said: readonly string[];
  readonly phase: string;
  /** Why it stopped. */
  readonly error: string | null;
};

export function bootstrapWorkflowId({ pipeline, dryRun }: Pick<BootstrapRequest, 'pipeline' | 'dryRun'>): string {
  return `bootstrap/${pipeline}${dryRun ? '/plan' : ''}`;
}

/** The workers are to read that file first, which they do when they start. */
export function otherFileText(pipeline: string, differences: readonly string[], dryRun: boolean): string {
  return [
    `The worker has not read pipelines/${pipeline}.ts as it is now:`,
    ...differences.map((each) => `  ${each}`),
    `Workers read it when they start: ./sluice apply ${pipeline} starts the one of ./sluice up anew; others are yours to start.`,
    ...(dryRun ? ['A dry run starts none, and only a worker that has read it can say what would be done: ./sluice down and ./sluice up, then the same again. Until it is applied, what runs stays as it is.'] : []),
  ].join('\n');
}

/** Whether its worker is to be started anew, and the same to be asked again. */
export function needsOtherWorker({ state, comparison, allow = false, dryRun = false }: BootstrapStatus): boolean {
  return state === 'failed' && !dryRun && comparison !== null && comparison.worker.length > 0 && (allow || !(comparison.isChanged || loses(comparison)));
}

/** It can be changed in place, and something is lost by it. */
export function loses({ redefine }: Comparison): boolean {
  return redefine !== undefined && redefine.loses.length > 0;
}

/** Those that only a person can mend, each with what to type. */
export function wrongText(pipeline: string, findings: readonly Finding[]): string {
  return [`${pipeline} cannot run so:`, ...findings.flatMap((finding) => (finding.state === 'wrong' ? findingLines(finding) : [])), `Then type ./sluice apply ${pipeline} again.`].join('\n');
}

export function findingLines({ service, found, mend }: Finding): readonly string[] {
  return [`  ${service}: ${found}`, ...(mend === null ? [] : [`    mend: ${mend}`])];
}

/** A definition that makes other rows or results than what was loaded. `changes` may be unknown. */
export function replacedText(pipeline: string, changes: readonly string[]): string {
  return [
    `What ${pipeline} is defined as is not what was loaded:`,
    ...(changes.length > 0 ? changes : ['its source, rows, views or sinks are others (an earlier release loaded it and did not put on record which)']).map((change) => `  ${change}`),
    `That cannot be changed in place. ./sluice apply ${pipeline} --allow drops all that ./sluice destroy ${pipeline} drops (see it with --dry-run) and loads the pipeline from nothing: until then there are no results, dead letters are lost, and HTTP receivers with initialLoad get every row again.`,
    `Or put pipelines/${pipeline}.ts back, and apply that.`,
  ].join('\n');
}

/** What of a pipeline's workflow tells whether it streams; its own types are behind the arrows of the design. */
export type SeenPipeline = {
  readonly state: PipelineState;
  readonly error: string | null;
  readonly capture: SeenPart;
  readonly lanes: readonly SeenPart[];
};
type SeenPart = { readonly name: string; readonly state: LaneState; readonly error: string | null };

/** What a part has reported last; undefined: nothing. */
export type SeenReport = { readonly fence: string | null; readonly error: string | null };

/**
 * waits: for what. stopped: until a person has done something. streams: what was written after the load has come through to
 * every destination; the canary comes within seconds.
 */
export type StartVerdict = { readonly tag: 'waits' | 'stopped'; readonly why: string } | { readonly tag: 'streams' };

/** `readers`: lanes that read segments. `loadedAt`: where the load ended. */
export function startVerdict(pipeline: string, seen: SeenPipeline, { readers, reports, loadedAt }: { readonly readers: readonly string[]; readonly reports: ReadonlyMap<string, SeenReport>; readonly loadedAt: Position | undefined }): StartVerdict {
  const resume = `./sluice resume ${pipeline}`;
  switch (seen.state) {
    case 'parked':
      return { tag: 'stopped', why: seen.error ?? 'it is parked' };
    case 'paused':
      return { tag: 'stopped', why: `it is paused, as somebody asked. Go on with: ${resume}` };
    case 'draining':
      return { tag: 'waits', why: 'its steps are coming to their end' };
    case 'loading':
      return { tag: 'waits', why: 'its first load' };
    case 'running': {
      const parts = [seen.capture, ...seen.lanes];
      const stuck = parts.find(({ state }) => state === 'parked' || state === 'broken');
      if (stuck) return { tag: 'stopped', why: `${stuck.name} is ${stuck.state}: ${stuck.error ?? `type ${resume} --lane ${stuck.name}`}` };
      if (seen.capture.state === 'migrating') return { tag: 'waits', why: `a migration of its source's columns: see ./sluice migrations ${pipeline}` };
      const behind = parts.find(({ name, state }) => state === 'running' && (name === 'capture' || readers.includes(name)) && !isBeyond(reports.get(name), loadedAt));
      if (!behind) return { tag: 'streams' };
      return { tag: 'waits', why: `${behind.name}${reports.get(behind.name)?.error ? `: ${reports.get(behind.name)!.error}` : ' to come beyond the load'}` };
    }
  }
}

function isBeyond(report: SeenReport | undefined, loadedAt: Position | undefined): boolean {
  return report?.fence != null && report.error === null && (loadedAt === undefined || report.fence > loadedAt);
}
