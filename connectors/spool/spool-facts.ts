import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SpoolFacts } from '../../core/doctor.ts';
import { spareBytes } from '../postgres/spool-room.ts';
import { systemFiles } from './files.ts';

/** Of the disk that a spool's directory is on, or will be: nothing is made. `pipelines`: those that are asked about. */
export async function readSpoolFacts(directory: string, pipelines: readonly string[]): Promise<Omit<SpoolFacts, 'budgetBytes'>> {
  const sizes = await Promise.all(pipelines.map((name) => bytesIn(join(directory, name))));
  return { directory, freeBytes: await systemFiles.free(await existing(directory)), usedBytes: sizes.reduce((sum, size) => sum + size, 0), spareBytes };
}

async function existing(directory: string): Promise<string> {
  const isThere = await stat(directory).then(() => true, () => false);
  return isThere ? directory : existing(dirname(directory));
}

/** With what is kept beside the segments. One that is trimmed meanwhile counts nothing. */
export async function bytesIn(directory: string): Promise<number> {
  const names = await readdir(directory, { recursive: true }).catch(() => []);
  const files = await Promise.all(names.map((name) => systemFiles.describe(join(directory, name))));
  return files.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}
