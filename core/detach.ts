import type { Pipeline, Text } from './pipeline.ts';
import type { Position } from './position.ts';

/**
 * The lanes that are to be detached when the spool has kept all that it may (E20): of those that may be, each that is behind all that may not be, if at least half
 * of what is kept is for them alone. So none is for which nothing would be gained, as all others are as far behind. `fences`: of lanes that read segments;
 * undefined: not known, and nothing is trimmed. `bytesAfter`: of the spool, behind a place.
 */
export function lanesToDetach({ sinks }: Pick<Pipeline<Text>, 'sinks'>, fences: ReadonlyMap<string, Position | undefined>, bytes: number, bytesAfter: (position: Position) => number): readonly string[] {
  const may = (lane: string) => (sinks[lane] as { readonly onBudget?: string } | undefined)?.onBudget === 'detach';
  let staying: Position | undefined;
  for (const [lane, fence] of fences) {
    if (may(lane)) continue;
    // the stream is held up by one that nothing can be done about
    if (fence === undefined) return [];
    if (staying === undefined || fence < staying) staying = fence;
  }
  if (staying === undefined || bytesAfter(staying) > bytes / 2) return [];
  return [...fences].flatMap(([lane, fence]) => (may(lane) && (fence === undefined || (fence < staying && bytesAfter(fence) > bytesAfter(staying) + (bytes - bytesAfter(staying)) / 2)) ? [lane] : []));
}

/** What a lane that was detached says when it is to go on, and status of it. */
export function detachedText(pipeline: string, lane: string, at: string): string {
  return `Lane ${lane} was detached at ${at}, as the spool had kept all that it may for it (onBudget: 'detach'): what came since is not there any more. When its destination is well, type ./sluice apply ${pipeline}, which fills it from the source and joins it again.`;
}
