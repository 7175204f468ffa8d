import type { Check } from './exactness.ts';
import type { ByProcess } from './meter.ts';
import type { CpuProfile } from './flame.ts';
import type { World, WorldOptions } from './world.ts';

/** Something that is measured. Each is a file in cases/. */
export type Case = {
  readonly name: string;
  /** What is done, in one sentence. */
  readonly what: string;
  /** It is part of the run without --full. */
  readonly short: boolean;
  /** At a million rows; it is given up then. */
  readonly limitMinutes: number;
  /** Why an event of it may take more than three times as long as a plain one. */
  readonly slower?: string;
  /** Lines as they are measured: what came before a failure is kept. */
  run(context: CaseContext): AsyncIterable<Line>;
};

/** What a case is given. */
export type CaseContext = {
  /** Events of the plain case; the others take a part or a multiple of it. */
  readonly rows: number;
  readonly rounds: number;
  /** The long form is asked for. */
  readonly full: boolean;
  /** Events per second that the plain case reached in this run; undefined: it was not part of it. */
  readonly reached: number | undefined;
  /** Where a CPU profile of the worker is written; undefined: none is wanted. */
  readonly profile: string | undefined;
  /** What the profile says. */
  profiled(profile: CpuProfile): void;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  /** A fresh instance. The one that was opened before is removed: two would measure each other. */
  open(options?: WorldOptions): Promise<World>;
  /** What the sinks were compared with. */
  compared(checks: readonly Check[]): void;
};

/** One measurement. Rates in events per second; null: it has no such figure. */
export type Line = {
  readonly name: string;
  readonly rate: number | null;
  /** Of the same changes in the same round, received alone. */
  readonly bare: number | null;
  /** Likewise by pg_recvlogical, which may not be installed. */
  readonly tool: number | null;
  /** Seconds for a million events. */
  readonly cpu: ByProcess | null;
  /** Bytes for an event that each process handed to the file system. */
  readonly written: ByProcess | null;
  /** Bytes of the spool for an event. */
  readonly spooled: number | null;
  /** The most that the worker had resident while this was measured. */
  readonly peakMiB: number | null;
  /** What only such a case has, by a name that says the unit. */
  readonly figures?: Readonly<Record<string, number>>;
  /** Where on the axis of a plot it is. */
  readonly point?: { readonly axis: string; readonly at: number };
};

export const noFigures: Omit<Line, 'name'> = { rate: null, bare: null, tool: null, cpu: null, written: null, spooled: null, peakMiB: null };

/** A case as it ended. */
export type CaseResult = {
  readonly name: string;
  readonly what: string;
  readonly slower: string | null;
  readonly rows: number;
  /** ISO time of its beginning, and how long it took. */
  readonly at: string;
  readonly seconds: number;
  readonly lines: readonly Line[];
  readonly checks: readonly Check[];
  /** Every check was equal; null: nothing was compared. */
  readonly exact: boolean | null;
  /** Of a round that is no measurement; null: there was none. */
  readonly profile: CpuProfile | null;
  /** Why it could not go to its end. */
  readonly error: string | null;
};
