import { Client } from 'pg';
import { classifyPostgresError } from '../connectors/postgres/errors.ts';
import { readSourceFacts } from '../connectors/postgres/source-facts.ts';
import { ConfigurationError } from '../connectors/sink.ts';

/**
 * The program that `./sluice init` runs: a command reaches no connector (test/arrows.test.ts). Facts of the database at
 * SLUICE_SOURCE_URL as JSON on stdout, or why not on stderr; the address, which has a password, in neither.
 */
const client = new Client({ connectionString: process.env['SLUICE_SOURCE_URL'], connectionTimeoutMillis: 10_000, statement_timeout: 60_000, application_name: 'sluice init' });
client.on('error', () => {});
try {
  await client.connect();
  console.log(JSON.stringify(await readSourceFacts(client, process.argv[2]!)));
} catch (error) {
  const told = classifyPostgresError('source', error);
  const { message, code } = (told instanceof ConfigurationError ? told : error) as { message?: string; code?: string };
  console.error(message || code);
  process.exitCode = 1;
} finally {
  await client.end().catch(() => {});
}
