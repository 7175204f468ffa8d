import { Context } from '@temporalio/activity';
import { failing } from './failures.ts';

/**
 * What may take long tells the server twice a second that it lives, from a timer: a worker that dies is known by its silence.
 * `told`: what the Web UI shows of it, and the next attempt finds.
 */
export async function beating<T>(work: () => Promise<T>, told?: () => unknown, everyMs = 500): Promise<T> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(told?.()), everyMs);
  try {
    return await failing(work);
  } finally {
    clearInterval(beat);
  }
}

/** The signal aborts, with this reason, when the attempt is asked to end or its worker is. */
export async function endingWhenAsked<T>(reason: () => unknown, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { cancellationSignal } = Context.current();
  const end = new AbortController();
  const asked = () => end.abort(reason());
  cancellationSignal.addEventListener('abort', asked, { once: true });
  if (cancellationSignal.aborted) asked();
  try {
    return await work(end.signal);
  } finally {
    cancellationSignal.removeEventListener('abort', asked);
  }
}
