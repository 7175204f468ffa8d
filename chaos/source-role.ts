import { Client } from 'pg';
import { quoteRelation } from '../connectors/postgres/source-catalog.ts';
import type { Config } from '../core/config.ts';
import type { Pipeline, Text } from '../core/pipeline.ts';

/** The worker's user in the source: no superuser, so that rights can be missing. */
const role = 'sluice_worker';

/** Makes the role with the rights that README.md names, and returns the source's address for it. */
export async function createSourceRole(config: Config, { source }: Pipeline<Text>, password: string): Promise<string> {
  const url = new URL(config.sourceUrl);
  const client = new Client({ connectionString: url.href });
  await client.connect();
  try {
    await client.query(`create role ${role} login replication password ${client.escapeLiteral(password)}`);
    await client.query(`grant pg_read_all_stats to ${role}`);
    // to make the publication, which only a table's owner may
    await client.query(`grant create on database ${client.escapeIdentifier(url.pathname.slice(1))} to ${role}`);
    const { rows } = await client.query<{ partition: string }>('select tree.relid::regclass::text as partition from pg_partition_tree($1::regclass) tree where tree.parentrelid is not null', [quoteRelation(source.events.relation)]);
    for (const { partition } of rows) await client.query(`alter table ${partition} owner to ${role}`);
    for (const { relation } of [source.events, ...Object.values(source.dimensions)]) await client.query(`alter table ${quoteRelation(relation)} owner to ${role}`);
  } finally {
    await client.end();
  }
  url.username = role;
  url.password = password;
  return url.href;
}

/** Takes a right away from the worker, or gives it back. */
export function selectRight(what: 'grant' | 'revoke', { source }: Pipeline): string {
  return what === 'grant' ? `grant select on ${quoteRelation(source.events.relation)} to ${role}` : `revoke select on ${quoteRelation(source.events.relation)} from ${role}`;
}
