import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../infra/supervisor/checkout.ts';
import type { Case, CaseContext, CaseResult, Line } from './case.ts';
import type { Check } from './exactness.ts';
import { lineText } from './lines.ts';
import type { CpuProfile } from './flame.ts';
import { World } from './world.ts';

export type RunOptions = Pick<CaseContext, 'rows' | 'rounds' | 'full' | 'reached' | 'profile' | 'say'> & { readonly portBase: number; readonly stopped: AbortSignal };

/** Runs a case to its end, its failure or its limit, and removes what it started. Throws only when everything is stopped. */
export async function runCase(each: Case, options: RunOptions): Promise<CaseResult> {
  const { rows, stopped, say, portBase } = options;
  const limitMinutes = each.limitMinutes * Math.max(1, rows / 1_000_000);
  const tooLong = AbortSignal.timeout(limitMinutes * 60_000);
  const signal = AbortSignal.any([stopped, tooLong]);
  const at = new Date();
  const dataDir = join(checkout, '.sluice', 'bench', String(portBase));
  const lines: Line[] = [];
  const checks: Check[] = [];
  let profile: CpuProfile | null = null;
  let error: string | null = null;
  let world: World | undefined;
  const close = async () => {
    const open = world;
    world = undefined;
    await open?.close();
  };
  const context: CaseContext = {
    ...options,
    signal,
    open: async (worldOptions = {}) => {
      await close();
      return (world = await World.open(worldOptions, { dataDir, portBase, report: say, signal }));
    },
    compared: (more) => void checks.push(...more),
    profiled: (seen) => void (profile = seen),
  };
  try {
    for await (const line of untilAborted(each.run(context), signal)) {
      lines.push(line);
      say(`${each.name}, ${lineText(line)}`);
    }
  } catch (failure) {
    stopped.throwIfAborted();
    error = tooLong.aborted ? `It was not done after ${limitMinutes} minutes and was given up.` : failure instanceof Error ? failure.message : String(failure);
    const logs = join(checkout, '.sluice', 'bench', 'logs', each.name);
    if (world) cpSync(join(dataDir, 'logs'), logs, { recursive: true });
    say(`${each.name} FAILED: ${error}${world ? ` Its logs are kept in ${logs}` : ''}`);
  } finally {
    await close();
  }
  const exact = checks.length === 0 ? null : checks.every(({ equal }) => equal);
  return { name: each.name, what: each.what, slower: each.slower ?? null, rows, at: at.toISOString(), seconds: (Date.now() - at.getTime()) / 1000, lines, checks, exact, profile, error };
}

/** What hangs is left behind: once its services are stopped, it ends too. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  signal.addEventListener('abort', () => aborted.reject(signal.reason), { once: true });
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = iterator.next();
    next.catch(() => {});
    const { done, value } = await Promise.race([next, aborted.promise]);
    if (done === true) return;
    yield value;
  }
}
