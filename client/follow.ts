import { ServiceError, type WorkflowHandle } from '@temporalio/client';

/**
 * Waits for the end of a workflow, and tells what it says of itself about once a second, as `look` asks it. Returns its result; what
 * it said last if `signal` was given up before. Throws as `result()` does.
 */
export async function followed<S>(handle: WorkflowHandle, look: () => Promise<S>, onLook: (status: S) => void, signal?: AbortSignal): Promise<S> {
  const over = new AbortController();
  const result = handle.client.withAbortSignal(over.signal, () => handle.result() as Promise<S>);
  result.catch(() => {});
  const left = new Promise<'left'>((resolve) => {
    const leave = () => resolve('left');
    if (signal?.aborted) leave();
    else signal?.addEventListener('abort', leave, { once: true });
  });
  try {
    for (;;) {
      const tick = new Promise<'tick'>((resolve) => setTimeout(() => resolve('tick'), lookMs));
      const ended = await Promise.race([result, left, tick]);
      const now = ended === 'tick' ? await look().catch(unlessAway) : ended === 'left' ? await look() : ended;
      if (now === undefined) continue;
      onLook(now);
      if (ended !== 'tick') return now;
    }
  } finally {
    // what asks for the end would outlive the connection, hold the process for as long, and crash it when it asks again
    over.abort();
  }
}

/** Without a worker nobody answers, and the workflow goes on with the next one. */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof ServiceError)) throw error;
}

/** What the activity of this type that runs now has told with its last heartbeat. */
export async function heartbeatOf<T>(handle: WorkflowHandle, activityType: string): Promise<T | undefined> {
  const { raw } = await handle.describe();
  const details = raw.pendingActivities?.find((each) => each.activityType?.name === activityType)?.heartbeatDetails?.payloads?.[0]?.data;
  return details ? (JSON.parse(Buffer.from(details).toString('utf8')) as T) : undefined;
}

const lookMs = 1_000;
