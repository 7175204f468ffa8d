import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Pgoutput } from 'pg-logical-replication';
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { expect, test } from 'vitest';
import { DimensionStore } from '../../core/capture/dimension-store.ts';
import { postgresText } from '../../core/columns/postgres-text.ts';
import { resolve } from '../../core/define/resolve.ts';
import { position, positionAt } from '../../core/position.ts';
import { Operation } from '../../core/segment.ts';
import { noRecord } from '../../connectors/postgres/column-watch.ts';
import { capture } from '../../connectors/postgres/capture.ts';
import { connectSource } from '../../connectors/postgres/postgres-source.ts';
import { createSnapshotSlot } from '../../connectors/postgres/snapshot-slot.ts';
import { ensurePublication, readSourceCatalog, sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { openSegmentLog } from '../../connectors/spool/open-segment-log.ts';
import { systemClock } from '../../connectors/system-clock.ts';
import definition from '../../pipelines/engagement.ts';
import { throwAwayDatabase } from '../embedded/services.ts';

const pipeline = resolve(definition, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });

/** The same WAL, decoded by a library that others wrote: every event must come in the same order with the same values. */
test('the capture tells what pg-logical-replication tells', async () => {
  await using database = await throwAwayDatabase();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-independent-'));
  const source = new Client({ connectionString: database.url });
  await source.connect();
  const { slot, publication } = sourceNames(pipeline.name);
  const controller = new AbortController();
  const service = new LogicalReplicationService({ connectionString: database.url }, { acknowledge: { auto: false, timeoutSeconds: 0 } });
  try {
    await source.query(await readFile(new URL('../../infra/demo/source.sql', import.meta.url), 'utf8'));
    await ensurePublication(source, pipeline);
    const { consistentPoint, close } = await createSnapshotSlot({ url: database.url, slot, temporary: false, applicationName: 'test' });
    await close();
    await source.query("select pg_copy_logical_replication_slot($1, 'independent', false)", [slot]);

    await source.query(`insert into engagement_events (event_type, event_ts, duration_ms, device, user_id, raw_payload)
      select (array['play','click',null])[1 + g % 3], now() - g * interval '1 hour', nullif(g % 4, 0), 'Gerät ' || g % 5, gen_random_uuid(), jsonb_build_object('g', g) from generate_series(1, 200) g`);
    await source.query("update engagement_events set device = upper(device), event_ts = event_ts + interval '3 days' where id % 3 = 0");
    await source.query('update engagement_events set id = id + 1000 where id % 50 = 0');
    await source.query('delete from engagement_events where id % 7 = 0');
    await source.query("insert into engagement_events (event_type, event_ts, device) values ('pause', now(), 'last')");

    const theirs: string[] = [];
    const theyAreDone = Promise.withResolvers<void>();
    service.on('data', (_lsn: string, message: Pgoutput.Message) => {
      theirs.push(...tellTheirs(message));
      if (message.tag === 'insert' && message.new['device'] === 'last') theyAreDone.resolve();
    });
    service.on('error', (error: Error) => theyAreDone.reject(error));
    service.subscribe(new PgoutputPlugin({ protoVersion: 1, publicationNames: [publication] }), 'independent').catch((error: unknown) => theyAreDone.reject(error));
    await theyAreDone.promise;

    const log = await openSegmentLog({ directory, shard: pipeline.name });
    const start = position(1, consistentPoint, 0);
    const { systemIdentifier } = await readSourceCatalog(source, pipeline);
    const running = capture({
      pipeline, log, connect: () => connectSource(database.url, pipeline, undefined), clock: systemClock, captureId: 'ours', shard: { epoch: 1, systemIdentifier }, readConfirmed: async () => undefined, recordConfirmed: async () => {}, start, after: undefined, reached: start,
      dimensionsAt: async () => new Map(Object.entries(pipeline.source.dimensions).map(([name, table]) => [name, new DimensionStore(table)])),
      fences: () => new Map(), columns: noRecord, signal: controller.signal, onProgress: () => {},
    });
    const ours: { position: string; text: string }[] = [];
    for (let after = start; !ours.some(({ text }) => text.includes('"last"')); ) {
      const segments = await Promise.race([log.read(after, { maxRows: 1e6 }, AbortSignal.timeout(20_000)), running.then(() => [])]);
      if (segments.length === 0) throw new Error('the last row did not come');
      for (const segment of segments) {
        for (const batch of segment.batches) {
          for (let row = 0; row < batch.rows; row++) {
            const id = postgresText(batch.columns.get('id')!, row);
            const at = positionAt(batch.positions, row);
            const columns = ['event_type', 'duration_ms', 'device', 'user_id', 'event_ts'];
            const values = columns.map((name) => { const vector = batch.columns.get(name); const text = vector ? postgresText(vector, row) : null; return text !== null && name === 'event_ts' ? new Date(text.replace('+00', 'Z')).toISOString() : text; });
            if (batch.image === 'after') ours.push({ position: `${at} 1`, text: `+${id} ${JSON.stringify(values)}` });
            else if (batch.operations[row] === Operation.delete) ours.push({ position: `${at} 0`, text: `-${id}` });
          }
        }
        after = segment.header.to;
      }
    }
    ours.sort((a, b) => (a.position < b.position ? -1 : 1));
    expect(ours.map(({ text }) => text)).toEqual(theirs);
    controller.abort();
    await running;
  } finally {
    controller.abort();
    await service.stop();
    await source.end();
    await rm(directory, { recursive: true, force: true });
  }
});

function tellTheirs(message: Pgoutput.Message): string[] {
  const columns = ['event_type', 'duration_ms', 'device', 'user_id', 'event_ts'];
  const text = (value: unknown) => (value === null || value === undefined ? null : value instanceof Date ? value.toISOString() : String(value as string | number));
  const whole = (row: Record<string, unknown>) => `+${row['id']} ${JSON.stringify(columns.map((name) => text(row[name])))}`;
  if (message.tag === 'insert') return [whole(message.new)];
  if (message.tag === 'delete') return [`-${message.old!['id']}`];
  if (message.tag === 'update') return message.old!['id'] === message.new['id'] ? [whole(message.new)] : [`-${message.old!['id']}`, whole(message.new)];
  return [];
}
