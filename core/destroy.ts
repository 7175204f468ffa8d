import type { LastingDefinition } from './define/definition-hash.ts';
import { overlap, redisKeysOf, type RedisKeys } from './redis-keys.ts';

/** What a destroy is asked for. */
export type DestroyRequest = {
  readonly pipeline: string;
  /** Result tables, ClickHouse tables and Redis keys stay, with their fences. */
  readonly keepResults: boolean;
  /** Only says what it would drop. */
  readonly dryRun?: boolean;
};

/** Where a lane's destination keeps what it got. HTTP receivers are not asked to give anything back. */
export type Place =
  | { readonly kind: 'results'; /** With its schema. */ readonly table: string }
  | { readonly kind: 'clickhouse'; readonly table: string }
  | { readonly kind: 'redis'; readonly key: string; readonly keys: RedisKeys };

/** By lane. */
export function placesOf({ sinks, views }: Pick<LastingDefinition, 'sinks' | 'views'>): Readonly<Record<string, Place>> {
  const places = Object.entries(sinks).flatMap(([lane, sink]): (readonly [string, Place])[] => {
    switch (sink.kind) {
      case 'clickhouse':
        return [[lane, { kind: 'clickhouse', table: sink.table }]];
      case 'postgres-results':
        return [[lane, { kind: 'results', table: sink.table.includes('.') ? sink.table : `results.${sink.table}` }]];
      case 'redis-live':
      case 'redis-results':
        return [[lane, { kind: 'redis', key: sink.key, keys: redisKeysOf(sink, views) }]];
      case 'http':
        return [];
    }
  });
  return Object.fromEntries(places);
}

/** The pipeline that writes there too, if one of these does: then what is there stays. */
export function usedBy(place: Place, others: readonly LastingDefinition[]): string | undefined {
  return others.find((other) => Object.values(placesOf(other)).some((theirs) => isSamePlace(place, theirs)))?.name;
}

function isSamePlace(ours: Place, theirs: Place): boolean {
  if (ours.kind === 'redis') return theirs.kind === 'redis' && overlap(ours.keys, theirs.keys);
  return theirs.kind === ours.kind && isSameTable(ours.table, theirs.table);
}

/** A table of ClickHouse without its database is in that of the address, whichever that is. */
function isSameTable(ours: string, theirs: string): boolean {
  const [[table, database], [theirTable, theirDatabase]] = [ours.split('.').toReversed(), theirs.split('.').toReversed()];
  return table === theirTable && (database === undefined || theirDatabase === undefined || database === theirDatabase);
}

/** One of the things that a pipeline has, in the order in which they are dropped: the source first, which must not keep WAL for nobody. */
export type Item = {
  readonly drop: Drop;
  /** As a person reads it. */
  readonly what: string;
  /** Whether there is such a thing; null: nobody could be asked. */
  readonly isThere: boolean | null;
  /** Why it is not dropped. */
  readonly stays?: string;
  /** What takes it away by hand. */
  readonly byHand: string;
};
export type Drop =
  | { readonly kind: 'slot' }
  | { readonly kind: 'publication' }
  | { readonly kind: 'destination'; readonly lane: string; readonly place: Place }
  | { readonly kind: 'state'; readonly paneTables: readonly string[] }
  | { readonly kind: 'spool' };

export type DestroyPlan = {
  /** Ids of those that run now. */
  readonly workflows: readonly string[];
  readonly items: readonly Item[];
  /** What it does not touch. */
  readonly untouched: readonly string[];
  /** ISO time at which it was destroyed before; null: it was not, or was applied since. */
  readonly destroyedAt: string | null;
  /** The greatest that it has, or had: one that is destroyed after another load has another. Missing: an earlier release has planned it. */
  readonly epoch?: number;
};

/** What could not be dropped. */
export type Left = { readonly what: string; readonly why: string; readonly byHand: string };

/** What the query `progress` says. partly: something is left. */
export type DestroyStatus = DestroyRequest & {
  readonly state: 'running' | 'done' | 'partly' | 'failed' | 'cancelled';
  readonly plan: DestroyPlan | null;
  readonly phase: string;
  /** What is no more, in the order in which it went. */
  readonly dropped: readonly string[];
  readonly left: readonly Left[];
  /** Why it failed; what was dropped before stays so. */
  readonly error: string | null;
};

export function destroyWorkflowId({ pipeline, dryRun }: Pick<DestroyRequest, 'pipeline' | 'dryRun'>): string {
  return `destroy/${pipeline}${dryRun ? '/plan' : ''}`;
}

/** Neither that a destroy would drop, nor that it would end. */
export function hasNothing({ workflows, items }: DestroyPlan): boolean {
  return workflows.length === 0 && items.every(({ isThere, stays }) => isThere === false || stays !== undefined);
}

export function planText(pipeline: string, plan: DestroyPlan): string {
  const { workflows, items, untouched } = plan;
  const dropped = items.filter(({ isThere, stays }) => stays === undefined && isThere !== false);
  const staying = items.filter(({ isThere, stays }) => stays !== undefined && isThere !== false);
  if (hasNothing(plan)) return [`There is nothing of ${pipeline} to drop${plan.destroyedAt === null ? '' : `: it was destroyed at ${plan.destroyedAt}`}.`, ...staying.map(stayText)].join('\n');
  return [
    `To destroy ${pipeline} is to drop:`,
    ...dropped.map(({ what, isThere }) => `  ${what}${isThere === null ? ' (it could not be looked at)' : ''}`),
    ...(workflows.length > 0 ? [`and before that to end ${workflows.join(', ')}.`] : []),
    ...(staying.length > 0 || untouched.length > 0 ? ['These stay:', ...staying.map(stayText), ...untouched.map((text) => `  ${text}`)] : []),
  ].join('\n');
}

function stayText({ what, stays }: Item): string {
  return `  ${what}: ${stays}`;
}

/** What was done, and what comes next. */
export function destroyedText({ pipeline, state, plan, dropped, left, error }: DestroyStatus): string {
  const untouched = plan ? [...plan.items.filter(({ stays, isThere }) => stays !== undefined && isThere !== false).map(stayText), ...plan.untouched.map((text) => `  ${text}`)] : [];
  return [
    ...(dropped.length > 0 ? ['Dropped:', ...dropped.map((what) => `  ${what}`)] : []),
    ...(left.length > 0 ? ['LEFT:', ...left.flatMap(({ what, why, byHand }) => [`  ${what}: ${why}`, `    by hand: ${byHand}`])] : []),
    ...(state !== 'failed' && untouched.length > 0 ? ['Not touched:', ...untouched] : []),
    ...(error === null ? [] : [error]),
    ...endText(pipeline, state, dropped.length === 0),
  ].join('\n');
}

function endText(pipeline: string, state: DestroyStatus['state'], isNothing: boolean): readonly string[] {
  const again = `./sluice destroy ${pipeline}`;
  switch (state) {
    case 'done':
      return [`${isNothing ? `There was nothing of ${pipeline}` : `${pipeline} is destroyed`}. ./sluice apply ${pipeline} makes it from nothing; so does the next ./sluice up, as long as pipelines/index.ts lists it.`];
    case 'partly':
      return [`${pipeline} does not run any more, and something is left of it: type ${again} again when that can be reached.`];
    case 'cancelled':
      return [`It was cancelled on its way: ${pipeline} may not begin again until ${again} has come to its end.`];
    case 'failed':
    case 'running':
      return [];
  }
}
