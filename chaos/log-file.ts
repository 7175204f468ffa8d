import { open } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { until } from './until.ts';

/** What a process writes into its log from now on. */
export class LogFile {
  readonly #file: string;
  readonly #from: number;

  constructor(file: string) {
    this.#file = file;
    this.#from = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Where it first says so, with what surrounds it; waits for it. */
  async line(isSo: RegExp, signal: AbortSignal, timeoutMs = 30_000): Promise<string> {
    let found: string | undefined;
    const there = async () => {
      found = (await this.text()).split('\n').find((line) => isSo.test(line));
      return found !== undefined;
    };
    await until(`a line like ${isSo} in ${this.#file}`, there, { timeoutMs, everyMs: 200, signal });
    const at = isSo.exec(found!)!.index;
    return found!.slice(Math.max(0, at - 40), at + 120);
  }

  async text(): Promise<string> {
    const file = await open(this.#file, 'r');
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(Math.max(0, size - this.#from));
      await file.read(bytes, 0, bytes.length, this.#from);
      return bytes.toString('utf8');
    } finally {
      await file.close();
    }
  }
}
