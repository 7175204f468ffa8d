import { Client } from 'pg';
import { classified } from './errors.ts';
import { leave } from './leave.ts';
import { textSettings } from './replication-stream.ts';

/**
 * A look into the source, on a connection of its own. Throws what a lane understands. The server gives up before we do: a
 * backend that waits for whoever alters a table does not see that nobody waits for it any more, and with each attempt
 * there would be another one.
 */
export function withSource<T>(url: string, applicationName: string, look: (source: Client) => Promise<T>): Promise<T> {
  return classified('source database', async () => {
    const source = new Client({ connectionString: url, application_name: applicationName, connectionTimeoutMillis: 10_000, query_timeout: 10_000, options: `${textSettings} -c lock_timeout=5s -c statement_timeout=9s` });
    source.on('error', () => {}); // the query says it
    try {
      await source.connect();
      return await look(source);
    } finally {
      await leave(source);
    }
  });
}
