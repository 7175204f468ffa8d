import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootCause } from './root-cause.ts';

/** Asks until it answers. When it does not in time, throws with the last reason and the end of the log. */
export async function waitUntil(check: () => Promise<unknown>, options: WaitOptions): Promise<void> {
  const until = Date.now() + options.timeoutMs;
  let last: unknown;
  while (Date.now() < until && !(options.hopeless?.() ?? false)) {
    options.signal.throwIfAborted();
    try {
      await check();
      return;
    } catch (error) {
      last = error;
    }
    await sleep(options.everyMs ?? 100);
  }
  throw new NotHealthy(options.what, last, options.logFile);
}

export type WaitOptions = {
  readonly what: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
  readonly signal: AbortSignal;
  /** True once there is no point in waiting: the process dies again and again. */
  readonly hopeless?: () => boolean;
  readonly logFile?: string | undefined;
};

export class NotHealthy extends Error {
  override readonly name = 'NotHealthy';
  constructor(what: string, last: unknown, logFile: string | undefined) {
    const root = rootCause(last);
    const why = root instanceof Error ? root.message : 'it never answered';
    const log = logFile ? `\nThe end of its log (${logFile}):\n${tail(logFile, 15)}` : '';
    super(`${what} did not become healthy: ${why}${log}`, { cause: last });
  }
}

export function tail(file: string, lines: number, indent = '  '): string {
  try {
    return readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-lines)
      .map((line) => indent + line)
      .join('\n');
  } catch {
    return `${indent}(no log)`;
  }
}
