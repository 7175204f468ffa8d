import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { checkout } from './checkout.ts';

/** Makes the database if it is missing. `url` names it; its server may have no more than `postgres` yet. */
export async function createDatabase(url: string): Promise<void> {
  const name = decodeURIComponent(new URL(url).pathname.slice(1));
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  await withClient(maintenance.href, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(name)}`);
  });
}

/** The tables of the sample pipelines, where they are absent. */
export async function createDemoTables(sourceUrl: string): Promise<void> {
  const sql = await readFile(join(checkout, 'infra/demo/source.sql'), 'utf8');
  await withClient(sourceUrl, (client) => client.query(sql));
}

async function withClient<T>(connectionString: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
