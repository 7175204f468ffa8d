import type { LastingDefinition } from './define/definition-hash.ts';
import type { Place } from './destroy.ts';
import type { Pipeline } from './pipeline.ts';
import { paneSetsOf } from './views/pane-sets.ts';

/** What it takes to make another pipeline of one that runs. Names only: it is put on record. */
export type RedefinePlan = {
  /** Why that cannot be done in place; empty: it can. */
  readonly impossible: readonly string[];
  /** What is lost, a line each; it must be allowed. */
  readonly loses: readonly string[];
  /** What else happens, a line each. */
  readonly says: readonly string[];
  /** Lanes that end; those that are made anew are named elsewhere too. */
  readonly ended: readonly string[];
  /** What their destinations have, by lane, that nothing writes to any more. */
  readonly drops: Readonly<Record<string, Place>>;
  /** Tables of results whose columns become others. */
  readonly recreated: readonly string[];
  /** Lanes that are loaded with the rows of the source, and join. */
  readonly loads: readonly string[];
  /** Lanes whose structures are made anew out of the panes. */
  readonly lives: readonly string[];
  /** Views whose panes are computed from the source. */
  readonly fills: readonly string[];
  /** Views whose windows are said again, of panes that are there. */
  readonly again: readonly string[];
  /** Views of which nothing counts that was published. */
  readonly emptied: readonly string[];
  /** Names of pane sets that are new, and of those that go. */
  readonly freshSets: readonly string[];
  readonly droppedSets: readonly string[];
};

/** The same, with lanes that were detached filled and joined again. */
export function rejoining(plan: RedefinePlan, { sinks }: Pick<Pipeline, 'sinks'>, detached: readonly string[]): RedefinePlan {
  const lanes = detached.filter((lane) => lane in sinks && ![...plan.loads, ...plan.lives].includes(lane));
  const isLive = (lane: string) => sinks[lane]!.kind === 'redis-live';
  return {
    ...plan,
    loads: [...plan.loads, ...lanes.filter((lane) => !isLive(lane))],
    lives: [...plan.lives, ...lanes.filter(isLive)],
    says: [...plan.says, ...lanes.map((lane) => rejoinText(lane, sinks[lane]!))],
  };
}

export function rejoinText(lane: string, sink: Pipeline['sinks'][string]): string {
  if (sink.kind === 'http' && !sink.initialLoad) return `lane ${lane} was detached: it goes on from now, and what came between is never sent to it`;
  return `lane ${lane} was detached: ${sink.kind === 'redis-live' ? 'its structures are made out of the panes' : 'it is filled from the source'}, and it goes on from there`;
}

/** planned: nothing has changed yet. filling: it is the other, and what was added is not complete. cancelled: before anything was changed. */
export type RedefineState = 'planned' | 'filling' | 'done' | 'cancelled';

export type RedefineInput = { readonly pipeline: string; readonly number: number };

/** What the query `progress` says. */
export type RedefineStatus = RedefineInput & {
  readonly state: RedefineState | 'failed';
  readonly plan: RedefinePlan | null;
  readonly phase: string;
  readonly rows: number;
  /** Why it stopped. */
  readonly error: string | null;
};

/** Also the name under which its panes are marked. */
export function redefineWorkflowId(pipeline: string, number: number): string {
  return `redefine/${pipeline}/${number}`;
}

/** Lanes that do not run before what they are made of is complete. */
export function joiningLanes({ loads, lives, fills }: RedefinePlan, sinks: LastingDefinition['sinks']): { readonly rows: readonly string[]; readonly panes: readonly string[] } {
  return { rows: loads, panes: lives.filter((lane) => fills.includes((sinks[lane] as { readonly view: string }).view)) };
}

export function redefineLines({ says, loses }: Pick<RedefinePlan, 'says' | 'loses'>): readonly string[] {
  return [...says, ...loses.map((each) => `LOSES: ${each}`)];
}

/** It loses something that nobody has allowed yet. */
export function losesText(pipeline: string, plan: RedefinePlan): string {
  return [
    `${pipeline} can be changed in place, and something would be lost:`,
    ...redefineLines(plan).map((line) => `  ${line}`),
    `./sluice apply ${pipeline} --allow does so; with --keep-results what was written to destinations that end stays there. Or put pipelines/${pipeline}.ts back.`,
  ].join('\n');
}

/** A pipeline without what is not complete of it, which nothing can be compared with. */
export function complete(pipeline: Pipeline, { lanes, views }: { readonly lanes: readonly string[]; readonly views: readonly string[] }): Pipeline {
  if (lanes.length + views.length === 0) return pipeline;
  const sets = paneSetsOf(pipeline).map((set) => ({ ...set, views: set.views.map(({ name }) => name).filter((name) => !views.includes(name)) }));
  return {
    ...pipeline,
    views: Object.fromEntries(Object.entries(pipeline.views).filter(([name]) => !views.includes(name))),
    sinks: Object.fromEntries(Object.entries(pipeline.sinks).filter(([name, sink]) => !lanes.includes(name) && !('view' in sink && views.includes(sink.view)))),
    paneSets: sets.filter((set) => set.views.length > 0),
  };
}
