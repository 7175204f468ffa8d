import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { readTimeline } from '../../connectors/postgres/postgres-source.ts';
import { assertNoPhantoms } from '../../connectors/postgres/same-stream.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import type { Position } from '../../core/position.ts';
import { parseLsn, position } from '../../core/position.ts';
import { postgres, superuser } from '../../infra/embedded/postgres.ts';
import { partsFolder } from '../../infra/supervisor/checkout.ts';
import { portsFrom } from '../../infra/supervisor/ports.ts';

/** The servers of a test have no standby, so this one is its own: it is stopped, made a standby, and promoted. */
describe('E1: a source that was promoted', () => {
  const ports = portsFrom(inject('portBase') + 80);
  const url = `postgres://${superuser}:secret@127.0.0.1:${ports.postgres}/postgres`;
  let dataDir: string;
  let server: ChildProcess | undefined;

  async function start(): Promise<string> {
    const signal = new AbortController().signal;
    const program = await postgres.find({ folder: partsFolder, report: () => {}, signal });
    const command = await postgres.prepare(program, { dataDir, ports, secrets: { postgresPassword: 'secret', externalSecret: '' } });
    server = spawn(command.program, [...command.args], { env: { ...command.environment }, cwd: '/', stdio: 'ignore', ...(command.user && { uid: command.user.uid, gid: command.user.gid }) });
    for (let attempt = 0; ; attempt++) {
      try {
        await postgres.check(url);
        return command.args[command.args.indexOf('-D') + 1]!;
      } catch (error) {
        if (attempt === 150) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  async function stop(): Promise<void> {
    if (!server || server.exitCode !== null) return;
    server.kill('SIGINT');
    await once(server, 'exit');
  }

  async function query<T extends object>(sql: string): Promise<T> {
    const client = new Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<T>(sql);
    await client.end();
    return rows[0]!;
  }

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sluice-promotion-'));
    await chmod(dataDir, 0o755);
    const data = await start();
    await query('create table t as select generate_series(1, 1000)');
    await stop();
    await writeFile(join(data, 'standby.signal'), '');
    await start();
    await query('select pg_promote()');
  }, 60_000);

  afterAll(async () => {
    await stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  test('goes on where everything taken is in its timeline, and is refused where it is not', async () => {
    const { lsn } = await query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    const after = position(1, parseLsn(lsn), 0);
    const refusal = async (claimed: number | undefined, tail: Position) => {
      const present = await readTimeline(url, claimed, 'test');
      expect(present.timeline).toBe(2);
      try {
        assertNoPhantoms('engagement', claimed, present, tail);
        return undefined;
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError);
        return String(error);
      }
    };
    expect(await refusal(1, position(1, 1n, 0))).toBeUndefined();
    expect(await refusal(2, after)).toBeUndefined();
    expect(await refusal(undefined, after)).toBeUndefined();
    expect(await refusal(1, after)).toMatch(/was promoted: its timeline 2 left timeline 1 at [0-9A-F]+\/[0-9A-F]+, and changes up to/);
    expect(await refusal(7, after)).toMatch(/on timeline 2, which does not come from timeline 7/);
  });
});
