/**
 * A destination of published results. A relay lane reads the outbox in order; its fence is the outbox's sequence number.
 */
export interface Relay {
  /** The last sequence number that is durably published; 0: none. Reads the sink, never a cache. */
  readFence(): Promise<number>;
  /** Publishes messages `from + 1 .. to` and moves the fence by compare-and-set. Throws FenceMoved as sinks do. */
  publish(messages: readonly OutboxMessage[], from: number, to: number): Promise<void>;
  close(): Promise<void>;
}

export type OutboxMessage = { readonly seq: number; readonly view: string; readonly body: ResultBody };

/** All results of the view's windows up to now are empty (the table was truncated), or the result of one window. */
export type ResultBody =
  | { readonly truncated: true }
  | {
      readonly windowStartMs: number;
      readonly windowEndMs: number;
      readonly revision: number;
      readonly final: boolean;
      readonly rows: readonly ResultRow[];
    };

export type ResultRow = {
  readonly rank: number;
  readonly key: string;
  /** Unscaled, as decimal text: '12.4'. null: a min or max of nothing. */
  readonly measures: Readonly<Record<string, string | null>>;
  readonly labels: Readonly<Record<string, string | null>>;
};
