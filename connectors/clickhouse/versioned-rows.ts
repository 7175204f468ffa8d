import type { LoadMark } from '../../core/backfill.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { Piece } from './pieces.ts';

/**
 * A table whose rows are versioned by position, the greatest of a sort key wins, and the fence rows beside it. Nothing here
 * is one atomic step with another (E10). `target` stands for the table that has the name now: it may have been dropped
 * and made again.
 */
export interface VersionedRows {
  /** Makes what is missing. Throws ConfigurationError if a table is there that cannot hold the rows. */
  create(): Promise<void>;
  target(): Promise<string>;
  /** In one INSERT, which is durable when this returns; of an INSERT that fails some rows may be there. */
  insert(pieces: readonly Piece[]): Promise<void>;
  /** Tombstones at that position for the rows below it (E8, E28). Never the server's TRUNCATE: a late insert would rise again. */
  bury(at: Position): Promise<void>;
  /** After rows were inserted: a record that a backup of the table from before them does not have. */
  writeMark(target: string, mark: LoadMark): Promise<void>;
  /** The greatest of those that `writeMark` has left under that name. */
  readMark(target: string, backfill: string): Promise<Position | undefined>;
  /**
   * The same for those whose column `time` lies in a range, if that mark is the greatest of its backfill at the same moment; else nothing is
   * buried. Returns the greatest that there is.
   */
  buryWithin(target: string, within: { readonly time: string; readonly range: PaneRange; readonly mark: LoadMark }, at: Position): Promise<Position | undefined>;
  /** The greatest that was written. */
  readFence(target: string): Promise<Position | undefined>;
  writeFence(target: string, position: Position): Promise<void>;
  /** The same if the table that has the name is `target` and its fence is at `from`; false: nothing was written, undefined: nobody says. */
  moveFence(target: string, from: Position, to: Position): Promise<boolean | undefined>;
  close(): Promise<void>;
}
