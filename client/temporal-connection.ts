import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import type { Config } from '../core/config.ts';
import { temporalAccess } from '../core/temporal-access.ts';

export class TemporalUnreachable extends Error {
  override readonly name = 'TemporalUnreachable';
  constructor(address: string, cause: unknown) {
    super(`Temporal at ${address} does not answer. Is it running? See ./sluice status, start it with ./sluice up, or set TEMPORAL_ADDRESS.`, { cause });
  }
}

/** A client for the length of `use`. Throws TemporalUnreachable. */
export async function withTemporal<T>(config: Config, use: (client: Client, connection: Connection) => Promise<T>): Promise<T> {
  const access = temporalAccess(config, process.env, readFileSync);
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...access, connectTimeout: 3_000 });
  } catch (error) {
    throw new TemporalUnreachable(access.address, error);
  }
  try {
    return await use(new Client({ connection, namespace: config.temporalNamespace }), connection);
  } finally {
    await connection.close();
  }
}
