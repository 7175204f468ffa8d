import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { receiveBare } from '../../bench/bare.ts';
import { fill } from '../../bench/fill.ts';
import { EngagementWorkload } from '../../bench/load/engagement.ts';
import { cpuSeconds, cpuSecondsOfTree, peakMiB } from '../../bench/processes.ts';
import { receiveByTool } from '../../bench/recvlogical.ts';
import { dropSlot, freshSlot, writeMarker } from '../../bench/slots.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { type ThrowAway, throwAwayDatabase } from '../embedded/services.ts';

describe('what the benchmark measures with', () => {
  let database: ThrowAway;
  let client: Client;
  const rows = 30_001;
  const slot = 'bench_receive_test';
  const publication = 'bench_receive_test';

  beforeAll(async () => {
    database = await throwAwayDatabase();
    client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(await readFile(join(checkout, 'infra/demo/source.sql'), 'utf8'));
    await client.query(`create publication ${publication} for table engagement_events, content`);
  });

  afterAll(async () => {
    await client?.end();
    await database?.[Symbol.asyncDispose]();
  });

  test('bare receiving and pg_recvlogical get a whole backlog, none of whose events is late or from the future', async () => {
    const workload = new EngagementWorkload(1);
    await workload.prepare(client);
    const from = await freshSlot(client, slot);
    const last = await fill(client, workload, rows, new AbortController().signal);
    const end = await writeMarker(client, 'the end');
    expect(last).toBeLessThan(end);
    await client.query('select pg_copy_logical_replication_slot($1, $2)', [slot, `${slot}_tool`]);
    const received = await receiveBare({ url: database.url, slot, publication, from, marker: 'the end' });
    expect(received.rows).toBe(rows);
    expect(received.bytes).toBeGreaterThan(rows * 100);
    expect(received.walsenderCpu).toBeGreaterThan(0);
    const toolSeconds = await receiveByTool({ url: database.url, slot: `${slot}_tool`, publication, end });
    if (toolSeconds !== undefined) expect(toolSeconds).toBeGreaterThan(0);
    await dropSlot(client, slot);
    await dropSlot(client, `${slot}_tool`);
    const { rows: [found] } = await client.query<{ late: number; future: number; all: number }>(
      `select count(*) filter (where event_ts < now() - interval '60 seconds')::int as late, count(*) filter (where event_ts > now())::int as future, count(*)::int as all from engagement_events`,
    );
    expect(found).toEqual({ late: 0, future: 0, all: rows });
  });

  test('CPU seconds of a process include those of its children, also of ended ones', async () => {
    const burn = 'const end = process.cpuUsage().user + 300000; while (process.cpuUsage().user < end);';
    const program = `require('child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(burn)}]); console.log(); setInterval(() => {}, 1000)`;
    const child = spawn(process.execPath, ['-e', program]);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    expect(cpuSecondsOfTree(child.pid!) - cpuSeconds(child.pid!)).toBeGreaterThan(0.25);
    expect(peakMiB(child.pid!)).toBeGreaterThan(20);
    child.kill();
  });
});
