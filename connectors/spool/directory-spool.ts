import { mkdir, open, readFile, readdir, rename, stat, unlink, link } from 'node:fs/promises';
import { join } from 'node:path';
import { killPoint } from '../../core/kill-point.ts';
import type { Allocate } from '../../core/segment-file.ts';
import type { Spool } from './spool.ts';

/** A spool in a local directory: a file a segment, named by its number. */
export async function openDirectorySpool(directory: string): Promise<Spool> {
  await mkdir(directory, { recursive: true });
  await syncDirectory(directory);
  return new DirectorySpool(directory);
}

class DirectorySpool implements Spool {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async list(): Promise<number[]> {
    await mkdir(this.#directory, { recursive: true });
    const names = await readdir(this.#directory);
    // after the names: what is trimmed in between is then left out as a whole
    const floor = await this.#floor();
    return names
      .filter((name) => name.endsWith(suffix))
      .map((name) => Number.parseInt(name, 10))
      .filter((seq) => seq >= floor)
      .sort((a, b) => a - b);
  }

  async read(seq: number, { length = Number.POSITIVE_INFINITY, allocate = (size: number) => new Uint8Array(size) }: { length?: number; allocate?: Allocate } = {}): Promise<Uint8Array> {
    const file = await open(this.#path(seq), 'r');
    try {
      const size = Math.min(length, (await file.stat()).size);
      const bytes = allocate(size);
      let at = 0;
      while (at < size) {
        const { bytesRead } = await file.read(bytes, at, size - at, at);
        if (bytesRead === 0) throw new Error(`${this.#path(seq)} ended at ${at} of ${size} bytes`);
        at += bytesRead;
      }
      return bytes;
    } finally {
      await file.close();
    }
  }

  /** Files first, then names in order, then the directory: a name that is durable has its whole content (E4). */
  async append(seq: number, segments: readonly Uint8Array[]): Promise<'appended' | 'lost'> {
    await mkdir(this.#directory, { recursive: true });
    const temporary = segments.map((_, index) => join(this.#directory, `${process.pid}-${crypto.randomUUID()}-${index}.tmp`));
    try {
      await Promise.all(segments.map((bytes, index) => writeSynced(temporary[index]!, bytes)));
      killPoint('spool/synced');
      for (let index = 0; index < segments.length; index++) {
        try {
          await link(temporary[index]!, this.#path(seq + index));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
          await syncDirectory(this.#directory);
          return 'lost';
        }
      }
      killPoint('spool/linked');
      await syncDirectory(this.#directory);
    } finally {
      await Promise.all(temporary.map((path) => unlink(path).catch(() => {})));
    }
    // a zombie must not bring back a number that was trimmed meanwhile (E3)
    return (await this.#floor()) <= seq ? 'appended' : 'lost';
  }

  async trim(wanted: number): Promise<void> {
    // a zombie that wakes up must not lower it
    const floor = Math.max(wanted, await this.#floor());
    const temporary = join(this.#directory, `${process.pid}-${crypto.randomUUID()}-floor.tmp`);
    await writeSynced(temporary, new TextEncoder().encode(String(floor)));
    await rename(temporary, join(this.#directory, floorName));
    await syncDirectory(this.#directory);
    for (const name of await readdir(this.#directory)) {
      const path = join(this.#directory, name);
      if (name.endsWith(suffix) ? Number.parseInt(name, 10) < floor : name.endsWith('.tmp') && (await isOld(path))) await unlink(path).catch(() => {});
    }
  }

  async has(seq: number): Promise<boolean> {
    return stat(this.#path(seq)).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return false;
        throw error;
      },
    );
  }

  async size(): Promise<number> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(suffix));
    const sizes = await Promise.all(names.map((name) => stat(join(this.#directory, name)).then((file) => file.size, () => 0)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async #floor(): Promise<number> {
    try {
      return Number(await readFile(join(this.#directory, floorName), 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
  }

  #path(seq: number): string {
    return join(this.#directory, `${String(seq).padStart(16, '0')}${suffix}`);
  }
}

const suffix = '.segment';
const floorName = 'floor';

/** Left by a worker that was killed. */
async function isOld(path: string): Promise<boolean> {
  const file = await stat(path).catch(() => undefined);
  return file !== undefined && Date.now() - file.mtimeMs > 600_000;
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    // in one call as a rule; writeFile would go by half a megabyte
    for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
