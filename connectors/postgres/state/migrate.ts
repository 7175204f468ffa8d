import { readFile, readdir } from 'node:fs/promises';
import type { State } from './state.ts';
import { inTransaction } from './state.ts';

/** Brings the state database to this version: runs the numbered files that it has not seen. Any number may do so at once. */
export async function migrate(state: State): Promise<void> {
  const files = (await readdir(import.meta.dirname)).filter((name) => /^\d{6}\.sql$/.test(name)).sort();
  await inTransaction(state, async (client) => {
    await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.migration', 0))");
    await client.query('create schema if not exists sluice');
    await client.query('create table if not exists sluice.migration (number int primary key, applied_at timestamptz not null default now())');
    const { rows } = await client.query<{ number: number }>('select number from sluice.migration');
    const applied = new Set(rows.map(({ number }) => number));
    const newest = Math.max(0, ...files.map((file) => Number.parseInt(file, 10)));
    const ahead = Math.max(0, ...applied);
    if (ahead > newest) throw new StateTooNew(ahead, newest);
    for (const file of files) {
      const number = Number.parseInt(file, 10);
      if (applied.has(number)) continue;
      await client.query(await readFile(new URL(file, import.meta.url), 'utf8'));
      await client.query('insert into sluice.migration (number) values ($1)', [number]);
    }
  });
}

/** A newer Sluice was here: this one must not touch what it does not know. */
export class StateTooNew extends Error {
  override readonly name = 'StateTooNew';
  constructor(found: number, known: number) {
    super(`the state database is at version ${found}, and this Sluice knows versions up to ${known}: it was used by a newer one. Start that one, or give this one a database of its own with SLUICE_STATE_URL.`);
  }
}
