import { link, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Allocate } from '../../core/segment-file.ts';

/**
 * What a spool needs of a file system, and what it may rely on: content is durable once `write` has returned, names (of
 * links, renames and removals) only once `syncDirectory` has (E4). Paths are those of one directory.
 */
export interface Files {
  /** Makes it if it is missing. */
  makeDirectory(path: string): Promise<void>;
  names(directory: string): Promise<string[]>;
  /** Undefined: there is none. */
  describe(path: string): Promise<{ readonly size: number; readonly modifiedMs: number } | undefined>;
  /** The first `length` bytes, or all; undefined: there is none. */
  read(path: string, length: number, allocate: Allocate): Promise<Uint8Array | undefined>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** A second name, unless it is taken. */
  link(path: string, name: string): Promise<'linked' | 'taken'>;
  rename(path: string, name: string): Promise<void>;
  /** Nothing happens if there is none. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Bytes that its disk still has room for. */
  free(directory: string): Promise<number>;
}

/** The machine's own. */
export const systemFiles: Files = {
  async makeDirectory(path) {
    await mkdir(path, { recursive: true });
  },

  names: (directory) => readdir(directory),

  async describe(path) {
    const found = await stat(path).catch(unlessMissing);
    return found && { size: found.size, modifiedMs: found.mtimeMs };
  },

  async read(path, length, allocate) {
    const file = await open(path, 'r').catch(unlessMissing);
    if (!file) return undefined;
    try {
      const size = Math.min(length, (await file.stat()).size);
      const bytes = allocate(size);
      for (let at = 0; at < size; ) {
        const { bytesRead } = await file.read(bytes, at, size - at, at);
        if (bytesRead === 0) throw new Error(`${path} ended at ${at} of ${size} bytes`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  },

  async write(path, bytes) {
    const file = await open(path, 'w');
    try {
      // in one call as a rule; writeFile would go by half a megabyte
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
      await file.datasync();
    } finally {
      await file.close();
    }
  },

  link: (path, name) =>
    link(path, name).then(
      () => 'linked' as const,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return 'taken' as const;
        throw error;
      },
    ),

  rename: (path, name) => rename(path, name),

  async remove(path) {
    await unlink(path).catch(unlessMissing);
  },

  async syncDirectory(path) {
    const directory = await open(path, 'r');
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },

  async free(directory) {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** Name of a file nobody else has. */
export function temporaryIn(directory: string, what: string): string {
  return join(directory, `${process.pid}-${crypto.randomUUID()}-${what}.tmp`);
}
