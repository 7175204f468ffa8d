import type { Pipeline } from '../pipeline.ts';
import type { Segment } from '../segment.ts';
import { Folder } from './fold.ts';
import type { PaneDeltas, PaneSet } from './panes.ts';

/** Panes out of rows as a snapshot of the source has them. */
export class SnapshotFold {
  readonly #folders: ReadonlyMap<string, Folder>;

  constructor({ source }: Pipeline, sets: readonly PaneSet[]) {
    // what is in the source counts, however long before its time it was written
    this.#folders = new Map(sets.map((set) => [set.name, new Folder(source.events, set, Number.POSITIVE_INFINITY)]));
  }

  add(rows: Segment): void {
    for (const folder of this.#folders.values()) folder.add(rows, { fromTransaction: 0, toTransaction: rows.transactions.count });
  }

  /** Lets go of what was added. */
  clear(): void {
    for (const folder of this.#folders.values()) folder.clear();
  }

  /** By set, of what was added since the last take. Throws SumTooLarge. */
  take(): ReadonlyMap<string, PaneDeltas> {
    return new Map([...this.#folders].map(([name, folder]) => [name, folder.take().deltas]));
  }
}
