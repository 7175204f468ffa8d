import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Random } from '../../bench/load/random.ts';
import { insertLaboratory, laboratoryChanges } from './tables.ts';

/** Of each insert. */
export const laboratoryRows = 25;

/** Rows of every value, changed again and again, until the signal; each change waits for `gate`. */
export async function writeLaboratory(url: string, seed: number, gate: () => Promise<void>, signal: AbortSignal): Promise<Readonly<Record<string, number>>> {
  const random = new Random(seed);
  const written = { inserts: 0, changes: 0, failed: 0 };
  let client: Client | undefined;
  while (!signal.aborted) {
    const [salt, kind] = [random.below(10_000), random.below(laboratoryChanges.length * 2)];
    await sleep(30 + random.below(100), undefined, { signal }).catch(() => {});
    await gate();
    if (signal.aborted) break;
    try {
      client ??= await connected(url);
      const change = laboratoryChanges[kind];
      if (change === undefined) await client.query(insertLaboratory, [laboratoryRows, salt]);
      else await client.query(change, [salt]);
      written[change === undefined ? 'inserts' : 'changes']++;
    } catch (error) {
      // of this class are mistakes of ours, not a database that is away
      if (/^(22|23|42)/.test((error as { code?: string }).code ?? '')) throw error;
      written.failed++;
      await client?.end().catch(() => {});
      client = undefined;
    }
  }
  await client?.end().catch(() => {});
  return written;
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'sluice chaos load', connectionTimeoutMillis: 5_000, statement_timeout: 30_000 });
  client.on('error', () => {}); // the next query says it
  await client.connect();
  return client;
}
