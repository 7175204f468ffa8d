import { existsSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KillPoint } from '../core/kill-point.ts';
import { DidNotStrike, struckMs } from './fault.ts';
import { until } from './until.ts';

export type StruckThere = { readonly point: KillPoint; readonly lane?: string; readonly pid: number; readonly atMs: number };

/** Orders to the worker that passes a point next (workers/arm-kill-points.ts). One at a time. */
export class KillOrders {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** To die there, or to keep its event loop busy for so long; when it was passed so often before. */
  async arm(point: KillPoint, more: { readonly passes?: number; readonly blockMs?: number } = {}): Promise<void> {
    await rm(join(this.#directory, 'struck'), { force: true });
    const unfinished = join(this.#directory, 'unfinished');
    await writeFile(unfinished, JSON.stringify({ point, ...more }));
    await rename(unfinished, join(this.#directory, 'armed'));
  }

  /** Who it struck; takes the order back when nobody passes the point in time. */
  async struck(signal: AbortSignal): Promise<StruckThere> {
    const file = join(this.#directory, 'struck');
    try {
      await until('a worker to pass the kill point', () => existsSync(file), { timeoutMs: struckMs, everyMs: 10, signal });
    } catch (error) {
      signal.throwIfAborted();
      throw new DidNotStrike(`No worker passed the kill point within ${struckMs / 1000} s.`, { cause: error });
    } finally {
      await rm(join(this.#directory, 'armed'), { force: true });
    }
    return JSON.parse(readFileSync(file, 'utf8')) as StruckThere;
  }
}
