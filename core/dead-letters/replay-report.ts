/** What a replay did, by lane. */
export type ReplayReport = { readonly pipeline: string; readonly lanes: Readonly<Record<string, LaneReplay>> };

/** `waiting`: letters that wait on, as they were refused again, or as their lane has not passed them yet; `first`: some of their numbers. */
export type LaneReplay = { readonly replayed: number; readonly waiting: number; readonly first: readonly number[] };

export function waitingIn({ lanes }: ReplayReport): number {
  return Object.values(lanes).reduce((sum, { waiting }) => sum + waiting, 0);
}

/** A line for each lane. */
export function replayText({ pipeline, lanes }: ReplayReport): string {
  const entries = Object.entries(lanes);
  if (entries.length === 0) return `${pipeline}: no dead letters wait`;
  return entries.map(([lane, { replayed, waiting, first }]) => `${pipeline}, ${lane}: ${replayed} replayed${waiting === 0 ? '' : `, ${waiting} wait on (${first.join(', ')}${first.length < waiting ? ', …' : ''}): see why with ./sluice dlq show ${first[0]}`}`).join('\n');
}
