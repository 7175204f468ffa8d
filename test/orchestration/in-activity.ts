import { asyncLocalStorage, CancelledFailure, Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { DefaultLogger } from '@temporalio/worker';

export type Around = { readonly signal?: AbortSignal; readonly heartbeat?: () => void; readonly client?: Client };

/** As Temporal's worker runs it, whose cancellation is this signal's. */
export function inActivity<T>(work: () => Promise<T>, { signal = new AbortController().signal, heartbeat = () => {}, client = {} as Client }: Around = {}): Promise<T> {
  const cancelled = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new CancelledFailure('CANCELLED')), { once: true }));
  cancelled.catch(() => {});
  const info = { workflowExecution: { workflowId: 'a workflow', runId: 'a run' }, attempt: 1, heartbeatDetails: undefined } as unknown as Context['info'];
  const context = new Context(info, cancelled, signal, heartbeat, client, new DefaultLogger('ERROR'), undefined as never, {} as never);
  return asyncLocalStorage.run(context, work);
}
