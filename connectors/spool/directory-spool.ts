import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { killPoint } from '../../core/kill-point.ts';
import type { Allocate } from '../../core/segment-file.ts';
import type { Files } from './files.ts';
import { temporaryIn } from './files.ts';
import type { Spool } from './spool.ts';

/** A spool in a local directory: a file a segment, named by its number. */
export async function openDirectorySpool(directory: string, files: Files, clock: Clock): Promise<Spool> {
  await files.makeDirectory(directory);
  await files.syncDirectory(directory);
  return new DirectorySpool(directory, files, clock);
}

class DirectorySpool implements Spool {
  readonly #directory: string;
  readonly #files: Files;
  readonly #clock: Clock;

  constructor(directory: string, files: Files, clock: Clock) {
    this.#directory = directory;
    this.#files = files;
    this.#clock = clock;
  }

  async list(): Promise<number[]> {
    await this.#files.makeDirectory(this.#directory);
    const names = await this.#files.names(this.#directory);
    // after the names: what is trimmed in between is then left out as a whole
    const floor = await this.floor();
    // before it has begun: left by a capture that has not noticed yet that the spool was deleted
    if (floor === 0) return [];
    const seqs = names
      .filter((name) => segmentName.test(name))
      .map((name) => Number.parseInt(name, 10))
      .filter((seq) => seq >= floor)
      .sort((a, b) => a - b);
    return this.#withSkipped(seqs, floor);
  }

  /**
   * Of names that are linked while a directory is read, POSIX leaves open which are found: the second of two may be, and the
   * first not. Each is linked when the one before it is durable, so what is skipped is there.
   */
  async #withSkipped(seqs: readonly number[], floor: number): Promise<number[]> {
    const whole: number[] = [];
    let next = floor;
    for (const seq of seqs) {
      // the first that is not there is a hole: what follows it is none of these
      for (; next < seq && (await this.has(next)); next++) whole.push(next);
      whole.push(seq);
      next = seq + 1;
    }
    return whole;
  }

  read(seq: number, { length = Number.POSITIVE_INFINITY, allocate = (size: number) => new Uint8Array(size) }: { length?: number; allocate?: Allocate } = {}): Promise<Uint8Array | undefined> {
    return this.#files.read(this.#path(seq), length, allocate);
  }

  /**
   * Files first, then names in order, the directory synced after each: a name that is durable has its whole content (E4)
   * and all names before it. Synced together, a power failure could keep the second of three names and lose the first.
   */
  async append(seq: number, segments: readonly Uint8Array[]): Promise<'appended' | 'lost'> {
    await this.#files.makeDirectory(this.#directory);
    const temporary = segments.map((_, index) => temporaryIn(this.#directory, String(index)));
    try {
      await Promise.all(segments.map((bytes, index) => this.#files.write(temporary[index]!, bytes)));
      killPoint('spool/synced');
      for (let index = 0; index < segments.length; index++) {
        const outcome = await this.#files.link(temporary[index]!, this.#path(seq + index));
        killPoint('spool/linked');
        await this.#files.syncDirectory(this.#directory);
        if (outcome === 'taken') return 'lost';
      }
    } finally {
      await Promise.all(temporary.map((path) => this.#files.remove(path).catch(() => {})));
    }
    // a zombie must not bring back a number that was trimmed meanwhile (E3)
    const floor = await this.floor();
    if (floor <= seq) return 'appended';
    // who knows no more than it did would take it for what follows
    await this.remove(segments.map((_, index) => seq + index).filter((each) => each < floor));
    return 'lost';
  }

  async trim(wanted: number): Promise<void> {
    // a zombie that wakes up must not lower it
    const floor = Math.max(wanted, await this.floor());
    await this.#note(floor);
    for (const name of await this.#files.names(this.#directory)) {
      const path = join(this.#directory, name);
      if (name.endsWith(suffix) ? Number.parseInt(name, 10) < floor : name.endsWith('.tmp') && (await this.#isOld(path))) await this.#files.remove(path);
    }
    await this.#keepReserve();
  }

  /** On a disk that is full to its last block what is kept for this is given up: nothing may be removed before the floor is noted. */
  async #note(floor: number): Promise<void> {
    const temporary = temporaryIn(this.#directory, 'floor');
    const write = () => this.#files.write(temporary, new TextEncoder().encode(String(floor)));
    try {
      await write().catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
        await this.#files.remove(join(this.#directory, reserveName));
        await write();
      });
      await this.#files.rename(temporary, join(this.#directory, floorName));
    } finally {
      await this.#files.remove(temporary);
    }
    await this.#files.syncDirectory(this.#directory);
  }

  async #keepReserve(): Promise<void> {
    const path = join(this.#directory, reserveName);
    if ((await this.#files.describe(path))?.size === reserveBytes) return;
    // another time, if there is no room for it now
    await this.#files.write(path, new Uint8Array(reserveBytes)).catch(() => {});
  }

  async remove(seqs: readonly number[]): Promise<void> {
    for (const seq of seqs) await this.#files.remove(this.#path(seq));
    await this.#files.syncDirectory(this.#directory);
  }

  async begin(wanted: number): Promise<number> {
    const temporary = temporaryIn(this.#directory, 'floor');
    await this.#files.makeDirectory(this.#directory);
    await this.#files.write(temporary, new TextEncoder().encode(String(wanted)));
    await this.#files.link(temporary, join(this.#directory, floorName));
    await this.#files.syncDirectory(this.#directory);
    await this.#files.remove(temporary);
    await this.#keepReserve();
    return this.floor();
  }

  async floor(): Promise<number> {
    const bytes = await this.#files.read(join(this.#directory, floorName), Number.POSITIVE_INFINITY, (size) => new Uint8Array(size));
    return bytes ? Number(new TextDecoder().decode(bytes)) : 0;
  }

  async has(seq: number): Promise<boolean> {
    return (await this.#files.describe(this.#path(seq))) !== undefined;
  }

  async size(from = 0): Promise<number> {
    const names = (await this.#files.names(this.#directory)).filter((name) => name.endsWith(suffix) && Number.parseInt(name, 10) >= from);
    const sizes = await Promise.all(names.map(async (name) => (await this.#files.describe(join(this.#directory, name)))?.size ?? 0));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async free(): Promise<number> {
    await this.#files.makeDirectory(this.#directory);
    return this.#files.free(this.#directory);
  }

  /** Left by a worker that was killed. */
  async #isOld(path: string): Promise<boolean> {
    const file = await this.#files.describe(path);
    return file !== undefined && this.#clock.now() - file.modifiedMs > 600_000;
  }

  #path(seq: number): string {
    return join(this.#directory, `${String(seq).padStart(16, '0')}${suffix}`);
  }
}

const suffix = '.segment';
const segmentName = /^\d{16}\.segment$/;
const floorName = 'floor';
const reserveName = 'reserve';
/** More than a block of any usual file system. */
const reserveBytes = 64 << 10;
