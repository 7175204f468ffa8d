import { rm, stat } from 'node:fs/promises';
import { bytesIn } from './spool-facts.ts';

/** Bytes in the directory of a pipeline's spool; undefined: there is none. */
export async function lookAtSpool(directory: string): Promise<number | undefined> {
  const isThere = await stat(directory).then(() => true, () => false);
  return isThere ? bytesIn(directory) : undefined;
}

export async function dropSpool(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
