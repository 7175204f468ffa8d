import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { logText, sinceLastStart } from './log-text.ts';
import { overload } from './machine-load.ts';
import { rootCause } from './root-cause.ts';

/** How long a process that lives may take until it answers: a busy machine needs minutes for what else takes seconds. */
export const startMs = 180_000;

const noticeMs = 15_000;

/** Asks until it answers. When it does not in time, throws with the last reason and the end of the log. */
export async function waitUntil(check: () => Promise<unknown>, options: WaitOptions): Promise<void> {
  const startedAt = Date.now();
  let last: unknown;
  let noticeAt = startedAt + (options.noticeMs ?? noticeMs);
  while (Date.now() < startedAt + options.timeoutMs && !(options.hopeless?.() ?? false)) {
    options.signal.throwIfAborted();
    try {
      await check();
      return;
    } catch (error) {
      last = error;
    }
    if (Date.now() >= noticeAt) {
      noticeAt = Date.now() + (options.noticeMs ?? noticeMs);
      const load = overload();
      options.report?.(`${options.what.padEnd(12)} ${options.waitsFor ?? 'is still starting'} after ${Math.round((Date.now() - startedAt) / 1000)} s (${why(last)}${load === undefined ? '' : `; ${load}`})`);
    }
    await sleep(options.everyMs ?? 100);
  }
  throw new NotHealthy(options, last, overload(), Math.round((Date.now() - startedAt) / 1000));
}

export type WaitOptions = {
  readonly what: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal: AbortSignal;
  /** True once there is no point in waiting: the process dies again and again. */
  readonly hopeless?: () => boolean;
  readonly logFile?: string | undefined;
  /** Told every 15 s that it takes long. */
  readonly report?: (line: string) => void;
  /** What is said then, instead of `is still starting`. */
  readonly waitsFor?: string;
  readonly noticeMs?: number;
};

export class NotHealthy extends Error {
  override readonly name = 'NotHealthy';
  constructor({ what, logFile }: Pick<WaitOptions, 'what' | 'logFile'>, last: unknown, load: string | undefined, seconds: number) {
    const log = logFile ? `\nThe end of its log (${logFile}):\n${endOfLog(logFile)}` : '';
    const busy = load === undefined ? '' : `\nIt was given ${seconds} s, and ${load}: once that is less busy, type the same command again.`;
    super(`${what} did not become healthy: ${why(last)}${log}${busy}`, { cause: last });
  }
}

function why(error: unknown): string {
  const root = rootCause(error);
  return root instanceof Error ? root.message : 'it never answered';
}

/** Of one start only; without it a reader would mend what failed last week. */
function endOfLog(file: string): string {
  const end = sinceLastStart(linesOf(file)).slice(-15).flatMap((line) => logText(line).split('\n'));
  return (end.length === 0 ? ['(no log)'] : end).map((line) => `  ${line}`).join('\n');
}

/** None when there is no such file. */
export function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  } catch {
    return [];
  }
}
