import type { ClickhouseFacts } from '../../core/doctor.ts';
import { connect, ofLanes } from './insert.ts';

export async function readClickhouseFacts(url: string): Promise<ClickhouseFacts> {
  const client = connect(url, 5_000, ofLanes);
  try {
    const answer = await client.query({ query: 'SELECT version() AS version', format: 'JSONEachRow' });
    const [row] = await answer.json<{ version: string }>();
    const { host, protocol } = new URL(url);
    return { version: row!.version, host, isEncrypted: protocol === 'https:' };
  } finally {
    await client.close();
  }
}
