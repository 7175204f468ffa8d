import { dirname } from 'node:path';
import type { Random } from '../../bench/load/random.ts';
import type { Files } from '../../connectors/spool/files.ts';
import { pause } from '../../core/clock.ts';
import type { SimulatedProcess } from './scheduler.ts';

type File = { readonly bytes: Uint8Array; readonly modifiedMs: number };

/**
 * A disk that keeps no more than it promised: content of a file once it was written (and synced with it), names only once
 * their directory was synced. What a power failure leaves of the others is chance.
 */
export class MemoryDisk {
  #names = new Map<string, File>();
  #durable = new Map<string, File>();
  readonly #directories = new Set<string>();
  readonly #random: Random;
  wasDeleted = false;
  /** How long writing and syncing take: a disk that stalls. */
  delayMs = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  failPower(): void {
    for (const path of new Set([...this.#names.keys(), ...this.#durable.keys()])) {
      if (this.#names.get(path) === this.#durable.get(path) || this.#random.next() < 0.5) continue;
      const before = this.#durable.get(path);
      if (before) this.#names.set(path, before);
      else this.#names.delete(path);
    }
    this.#durable = new Map(this.#names);
  }

  /** Somebody deletes everything. */
  deleteAll(): void {
    this.wasDeleted = true;
    this.#names.clear();
    this.#durable.clear();
  }

  /** What is there now. */
  present(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { bytes }]) => [path, bytes]));
  }

  /** What would be there after a power failure, whatever chance does. */
  durable(): ReadonlyMap<string, Uint8Array> {
    const sure = [...this.#durable].filter(([path, file]) => this.#names.get(path) === file);
    return new Map(sure.map(([path, { bytes }]) => [path, bytes]));
  }

  /** As a process sees it. */
  filesOf(process: SimulatedProcess): Files {
    const names = () => this.#names;
    return {
      makeDirectory: (directory) => process.io(() => void this.#directories.add(directory)),
      names: (directory) => process.io(() => [...names().keys()].filter((path) => dirname(path) === directory).map((path) => path.slice(directory.length + 1))),
      describe: (path) =>
        process.io(() => {
          const file = names().get(path);
          return file && { size: file.bytes.length, modifiedMs: file.modifiedMs };
        }),
      read: async (path, length, allocate) => {
        const bytes = await process.io(() => names().get(path)?.bytes.subarray(0, length));
        if (!bytes) return undefined;
        const copy = allocate(bytes.length);
        copy.set(bytes);
        return copy;
      },
      write: (path, bytes) => {
        const file = { bytes: bytes.slice(), modifiedMs: process.clock.now() };
        return this.#slowly(process, () => void names().set(path, file));
      },
      link: (path, name) =>
        process.io(() => {
          if (names().has(name)) return 'taken';
          names().set(name, this.#file(path));
          return 'linked';
        }),
      rename: (path, name) =>
        process.io(() => {
          const file = this.#file(path);
          names().delete(path);
          names().set(name, file);
        }),
      free: () => process.io(() => Number.POSITIVE_INFINITY),
      remove: (path) => process.io(() => void names().delete(path)),
      syncDirectory: (directory) => this.#slowly(process, () => this.#sync(directory)),
    };
  }

  async #slowly(process: SimulatedProcess, effect: () => void): Promise<void> {
    if (this.delayMs > 0) await pause(process.clock, this.delayMs, never);
    await process.io(effect);
  }

  #sync(directory: string): void {
    const isIn = ([path]: readonly [path: string, file: File]) => dirname(path) === directory;
    const others = this.#directories.size > 1 ? [...this.#durable].filter((each) => !isIn(each)) : [];
    this.#durable = new Map([...others, ...(this.#directories.size > 1 ? [...this.#names].filter(isIn) : this.#names)]);
  }

  #file(path: string): File {
    const file = this.#names.get(path);
    if (file) return file;
    throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: 'ENOENT' });
  }
}

const never = new AbortController().signal;
