import type { Allocate } from '../../core/segment-file.ts';

/**
 * The ordered log of a shard's segments. An append is conditional on its number, so it needs no lock and no leader: of
 * two captures that race, one wins (E3). Durable means durable: a number that `append` returned 'appended' for survives
 * a power failure (E4).
 */
export interface Spool {
  /** Numbers of the stored segments, ascending and without gaps. */
  list(): Promise<number[]>;
  /** Undefined: there is none. The whole segment, or its first `length` bytes if it has more, in memory of their own or of `allocate`. */
  read(seq: number, options?: { readonly length?: number; readonly allocate?: Allocate }): Promise<Uint8Array | undefined>;
  /** Numbers below it are not valid, or not any more; 0: it has not begun. */
  floor(): Promise<number>;
  /** Sets the floor of a spool that has not begun. Returns the floor that it has then: of two that begin, one wins. */
  begin(floor: number): Promise<number>;
  /** Appends consecutive segments beginning with `seq`. 'lost': the number was taken; nothing from there on was appended. */
  append(seq: number, segments: readonly Uint8Array[]): Promise<'appended' | 'lost'>;
  /** Takes an append back. */
  remove(seqs: readonly number[]): Promise<void>;
  /** Forgets segments below `floor`. The floor is made durable first: numbers below it are never valid again. */
  trim(floor: number): Promise<void>;
  /** Whether a segment is stored under this number: cheaper than a list. */
  has(seq: number): Promise<boolean>;
  /** Bytes stored; `from`: of segments with this number or a greater one. */
  size(from?: number): Promise<number>;
  /** Bytes that there still is room for. */
  free(): Promise<number>;
}
