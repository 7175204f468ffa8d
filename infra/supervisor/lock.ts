import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Identity, identify, isAlive } from './identity.ts';

/**
 * One supervisor on a data directory. The lock is a file that names its holder, made by link(2), which fails if it is
 * there; a holder that is dead is moved aside first. Returns the release.
 */
export function lockDataDir(dataDir: string): () => void {
  const lock = join(dataDir, 'supervisor.lock');
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, JSON.stringify(identify(process.pid)));
  try {
    for (;;) {
      try {
        linkSync(mine, lock);
        return () => rmSync(lock, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = holderOf(lock);
      if (holder && isAlive(holder)) throw new AlreadyRunning(dataDir, holder.pid);
      moveAside(lock, `${mine}.dead`);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

export class AlreadyRunning extends Error {
  override readonly name = 'AlreadyRunning';
  constructor(dataDir: string, pid: number) {
    super(
      `An instance is already running on ${dataDir} (supervisor ${pid}).\n` +
        'See it with ./sluice status, stop it with ./sluice down, or start another one beside it:\n' +
        '  ./sluice up --data DIR --port-base 7500',
    );
  }
}

/** Between reading and moving, another may have taken the place of the dead one: then it is put back. */
function moveAside(lock: string, aside: string): void {
  try {
    renameSync(lock, aside);
    const moved = holderOf(aside);
    if (moved && isAlive(moved)) linkSync(aside, lock);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function holderOf(lock: string): Identity | undefined {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as Identity;
  } catch {
    return undefined;
  }
}
