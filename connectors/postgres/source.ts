import type { Lsn } from '../../core/position.ts';
import type { ReplicationTarget } from './replication-stream.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { SourceCatalog } from './source-catalog.ts';

/**
 * A pipeline's source as its capture needs it: an ordinary connection, of which each attempt opens one and never uses it
 * again (E6), and the replication connection that `stream` opens, which a step may leave to the next.
 */
export interface Source {
  /** Rejects when the server lets the ordinary connection go. */
  readonly gone: Promise<never>;
  /** Compares the source with the pipeline. Throws a ConfigurationError. */
  catalog(): Promise<SourceCatalog>;
  /** Of the pipeline's tables, as they are now. What made them so was committed below `seenAt`. */
  columns(): Promise<{ readonly columns: SourceColumns; readonly seenAt: Lsn }>;
  /** So many rows the planner expects in them; null: it cannot be asked. */
  expectedRows(): Promise<number | null>;
  /** The publication still has every table whole. Throws a ConfigurationError. */
  assertPublication(): Promise<void>;
  /** `known`: a timeline whose history needs no look. */
  timeline(known: number | undefined): Promise<Timeline>;
  /** Undefined: there is none of the pipeline's. */
  slot(): Promise<Slot | undefined>;
  /** The end of what the source has written, now. */
  walEnd(): Promise<Lsn>;
  /** Ends the connection of a slot that perhaps no one reads any more. */
  disconnect(pid: number): Promise<void>;
  /** Writes a message into the stream: the idle clock, and what lets the slot advance on a quiet table (E13). */
  emitCanary(): Promise<void>;
  /** Keeps small what the slot keeps of WAL that was confirmed, and its next reader has to read again. */
  letSlotFollow(): Promise<void>;
  /** Transactions that commit at or above `from` are sent, and those that the slot has confirmed are not. */
  stream(from: Lsn, binary: boolean, target: ReplicationTarget): Promise<SourceStream>;
  close(): Promise<void>;
}

export interface SourceStream {
  /** Of the process that serves it at the source; undefined: not known. */
  readonly pid: number | undefined;
  /** Settles when the connection ends: rejects with the reason unless `close` was called. */
  readonly ended: Promise<void>;
  /** Stops reading: nothing comes until `release`, but the rest of what is being taken just now. */
  hold(): void;
  release(): void;
  /** Everything below may be forgotten by the source. */
  confirm(lsn: Lsn): void;
  close(): void;
}

/** `history`: content of its history file, '' if it was not asked for. */
export type Timeline = { readonly timeline: number; readonly history: string };

/** `unreadSince`: an ISO time, which PostgreSQL tells from 17 on. */
export type Slot = { readonly confirmed: Lsn; readonly status: string | undefined; readonly activePid: number | undefined; readonly unreadSince?: string };
