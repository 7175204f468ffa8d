import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const sizeBytes = 512 << 20;

/**
 * The spool on a small file system of its own, so that its disk can really be full. Undefined where we may not mount.
 * Returns the folder it is mounted on.
 */
export async function mountSpoolDisk(dataDir: string): Promise<string | undefined> {
  const spool = join(dataDir, 'spool');
  const image = join(dataDir, 'spool.img');
  await mkdir(spool, { recursive: true });
  await writeFile(image, '');
  await truncate(image, sizeBytes);
  try {
    await run('mkfs.ext4', ['-q', '-m', '0', image]);
    await run('mount', ['-o', 'loop', image, spool]);
    return spool;
  } catch {
    return undefined;
  }
}

/** Also what an earlier run, which was killed, left mounted. */
export async function unmountSpoolDisk(dataDir: string): Promise<void> {
  const spool = join(dataDir, 'spool');
  if (existsSync(spool)) await run('umount', [spool]).catch(() => {});
}
