import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, parseConfig } from '../../core/config.ts';
import type { StopStep } from '../embedded/service.ts';
import { typed } from './checkout.ts';
import type { EndpointName } from './endpoints.ts';
import { type Identity, isAlive, stopProcess } from './identity.ts';

/** What `<data>/instance.json` says: enough to reach the instance, and to clean up after a supervisor that died. */
export type Instance = {
  readonly supervisor: Identity;
  /** False until everything was healthy once. */
  readonly ready: boolean;
  readonly portBase: number;
  /** The services that are the user's own. */
  readonly own: readonly EndpointName[];
  /** The variables that `parseConfig` reads. */
  readonly environment: Readonly<Record<string, string>>;
  /** In the order they were started. */
  readonly processes: readonly ManagedProcess[];
};

export type ManagedProcess = Identity & { readonly name: string; readonly stop: readonly StopStep[] };

export function readInstance(dataDir: string): Instance | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as Instance;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const why = (error as Error).message;
    throw new Error(`${fileOf(dataDir)} cannot be read: ${why}. Stop its processes by hand, then remove it.`, {
      cause: error,
    });
  }
}

/** Written in one piece and without yielding: a process that was spawned is on record at once. Holds passwords. */
export function writeInstance(dataDir: string, instance: Instance): void {
  const unfinished = `${fileOf(dataDir)}.unfinished`;
  writeFileSync(unfinished, `${JSON.stringify(instance, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(unfinished, fileOf(dataDir));
}

export function removeInstance(dataDir: string): void {
  rmSync(fileOf(dataDir), { force: true });
}

export function isRunning(instance: Instance | undefined): instance is Instance {
  return instance !== undefined && isAlive(instance.supervisor);
}

/** The configuration to reach a running instance. Throws when there is none. */
export function configOf(dataDir: string): Config {
  const instance = readInstance(dataDir);
  if (!isRunning(instance)) throw new NotRunning(dataDir);
  return parseConfig(instance.environment);
}

export class NotRunning extends Error {
  override readonly name = 'NotRunning';
  constructor(dataDir: string) {
    super(`No instance is running on ${dataDir}. Start it with: ${typed('up', dataDir)}`);
  }
}

/** Stops, in reverse order, what a supervisor that is gone left behind. Returns the names. */
export async function stopLeftovers(dataDir: string): Promise<string[]> {
  const leftovers = (readInstance(dataDir)?.processes ?? []).filter(isAlive).toReversed();
  // Nothing answers for these any more, so they are given less time than in an orderly stop.
  for (const { stop, ...identity } of leftovers) {
    await stopProcess(
      identity,
      stop.map(({ signal, waitMs }) => ({ signal, waitMs: Math.min(waitMs, 4_000) })),
    );
  }
  removeInstance(dataDir);
  return leftovers.map((process) => process.name);
}

function fileOf(dataDir: string): string {
  return join(dataDir, 'instance.json');
}
