import type { Client } from 'pg';

/** The tables of one pipeline as its users would fill them. Each method is one transaction; counts are of rows written. */
export interface Workload {
  /** Makes what the events refer to, where it is missing. */
  prepare(client: Client): Promise<void>;
  /** One event for each event time, milliseconds since 1970. */
  insert(client: Client, eventTimesMs: readonly number[]): Promise<number>;
  /** Changes recent rows. */
  update(client: Client, count: number): Promise<number>;
  /** Removes recent rows. */
  delete(client: Client, count: number): Promise<number>;
  /** Gives one of the dimension's rows another title. */
  rename(client: Client): Promise<void>;
}
