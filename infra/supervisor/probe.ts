import { overload } from './machine-load.ts';
import { rootCause } from './root-cause.ts';

/** How long every endpoint's check waits for an answer, as the checks themselves have it. */
const answerMs = 3_000;

/** Slow: nobody answered in time, and nobody refused either; on a busy machine that says nothing of the service. */
export type Health = { readonly tag: 'healthy' } | { readonly tag: 'slow' | 'down'; readonly why: string };

/** Asks once more when no answer came in time. */
export async function probe(check: () => Promise<void>, now: () => number = () => performance.now()): Promise<Health> {
  let health = await asked(check, now);
  if (health.tag === 'slow') health = await asked(check, now);
  return health;
}

async function asked(check: () => Promise<void>, now: () => number): Promise<Health> {
  const startedAt = now();
  try {
    await check();
    return { tag: 'healthy' };
  } catch (error) {
    return healthAfter(error, now() - startedAt, overload());
  }
}

/** What a check that failed after `tookMs` says. */
export function healthAfter(error: unknown, tookMs: number, load: string | undefined): Health {
  const root = rootCause(error);
  if (tookMs < answerMs || isAnswer(root)) return { tag: 'down', why: root instanceof Error ? root.message || root.name : String(root) };
  return { tag: 'slow', why: `no answer within ${answerMs / 1000} s, asked twice${load === undefined ? '' : `; ${load}`}` };
}

/** Refusals of the system and of databases have a code of letters or digits in a text; clocks that ran out have none, or this one. */
function isAnswer(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return error instanceof BadAnswer || (typeof code === 'string' && code !== 'ETIMEDOUT');
}

/** It answers, and says that it is not well. */
export class BadAnswer extends Error {
  override readonly name = 'BadAnswer';
}
