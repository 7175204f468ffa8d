import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { fetchFromNpm, MissingPart, part } from './parts.ts';
import { cleanEnvironment, type Command, type EmbeddedService, type Parts, type Place } from './service.ts';

// The engine of npm's chdb 3.4.0. How it is made a server is undocumented, so this version was tried and is pinned.
const engine = '26.7.3-stable.1';
const ffi = '1.3.7';
const npmPackage = `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;

/** ClickHouse: chdb's library as a server in a process of its own. */
export const clickhouse: EmbeddedService = {
  name: 'clickhouse',
  find,
  prepare,
  check: roundTrip,
  stop: [{ signal: 'SIGTERM', waitMs: 10_000 }],
};

async function find(parts: Parts): Promise<string> {
  return part(parts, `clickhouse-${engine}`, (into) =>
    fetchFromNpm(parts, into, [`${npmPackage}@${engine}`, `ffi-rs@${ffi}`]),
  ).catch((error: unknown) => {
    throw new MissingPart(`ClickHouse (npm package ${npmPackage} ${engine})`, error, [
      './sluice up again, once npm can reach its registry',
      'SLUICE_CLICKHOUSE_URL=http://user:password@host:8123 ./sluice up   to use your own',
    ]);
  });
}

async function prepare(folder: string, place: Place): Promise<Command> {
  const data = join(place.dataDir, 'clickhouse');
  await mkdir(data, { recursive: true });
  const library = join(folder, 'node_modules', npmPackage, 'libchdb.so');
  const server = join(import.meta.dirname, 'clickhouse-server.ts');
  const { clickhouse: http, clickhouseTcp: tcp } = place.ports;
  return {
    program: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', server, folder, library, data, String(http), String(tcp)],
    environment: cleanEnvironment(data),
  };
}

async function roundTrip(url: string): Promise<void> {
  const client = createClient({ url, request_timeout: 3_000, log: { level: ClickHouseLogLevel.OFF } });
  try {
    await (await client.query({ query: 'SELECT 1', format: 'JSON' })).json();
  } finally {
    await client.close();
  }
}
