import { join } from 'node:path';
import { BadInput } from '../core/bad-input.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import type { InstanceOptions } from './instance.ts';
import { World } from './world.ts';

export type InWorldOptions = Pick<InstanceOptions, 'portBase' | 'pipeline' | 'rotateAtEvents' | 'ownSpoolDisk' | 'imports'>;

export type Inside = {
  readonly world: World;
  /** To standard error. */
  readonly say: (line: string) => void;
  /** Aborts when the user wants to stop. */
  readonly signal: AbortSignal;
};

export type Ended = {
  /** False: what was proved is not so. */
  readonly ok: boolean;
  /** For standard output; `kept`: where everything lies, if it was kept. */
  readonly print: (kept: string | null) => string;
};

/**
 * Runs a program of the laboratory to its end and sets the exit code: 0 if it ended well, 1 if not, 2 for bad input.
 * What it started is stopped, and removed if it ended well or was stopped by the user.
 */
export async function program(main: (stopped: AbortSignal) => Promise<boolean>): Promise<never> {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stopped.abort(new Error('Stopped before the end; what was started is stopped and removed.')));
  }
  try {
    process.exitCode = (await main(stopped.signal)) ? 0 : 1;
  } catch (error) {
    const reason: unknown = stopped.signal.aborted ? stopped.signal.reason : error;
    console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' || !(reason instanceof Error) ? reason : reason.message);
    process.exitCode = error instanceof BadInput ? 2 : 1;
  }
  process.exit();
}

/** An instance of its own, in which `work` is done. */
export async function inWorld(options: InWorldOptions, signal: AbortSignal, work: (inside: Inside) => Promise<Ended>): Promise<boolean> {
  const say = (line: string) => console.error(line);
  const dataDir = join(checkout, '.sluice', 'chaos', String(options.portBase));
  const world = await World.open({ ...options, dataDir, report: say, signal });
  let ok = false;
  try {
    const ended = await work({ world, say, signal });
    ({ ok } = ended);
    console.log(ended.print(ok ? null : dataDir));
    return ok;
  } finally {
    await world.close();
    if (ok || signal.aborted) await world.instance.remove();
  }
}
