import type { OutboxMessage, Relay } from '../connectors/relay.ts';
import { ConfigurationError, FenceMoved } from '../connectors/sink.ts';
import { killPoint } from '../core/kill-point.ts';
import type { StepEnd } from './steps.ts';

export type RelayLoop = {
  readonly name: string;
  readonly relay: Relay;
  readonly readOutbox: (after: number, limit: number) => Promise<readonly OutboxMessage[]>;
  /** Sequence number of the newest message that was ever written. */
  readonly newest: () => Promise<number>;
  /** Whether no message will come before the position of a hold: 'held' exactly there, 'past' above it. */
  readonly reached: () => Promise<'held' | 'past' | undefined>;
  /** Until there may be more. */
  readonly wait: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly onPublished: (messages: readonly OutboxMessage[], fence: number) => void;
};

const messagesAtOnce = 500;

/** Publishes the outbox in order from the relay's fence on, until the signal aborts or a hold's position is reached. */
export async function runRelay(loop: RelayLoop): Promise<StepEnd> {
  const { relay, signal } = loop;
  let fence = await readFence(loop);
  loop.onPublished([], fence);
  for (;;) {
    if (signal.aborted) return 'asked';
    // asked before the outbox is read: what is written after it does not belong to the hold
    const reached = await loop.reached();
    const messages = await loop.readOutbox(fence, messagesAtOnce);
    if (messages.length === 0) {
      if (reached) return reached;
      await loop.wait(signal);
      continue;
    }
    const to = messages.at(-1)!.seq;
    try {
      await relay.publish(messages, fence, to);
      killPoint('relay/published');
      fence = to;
      loop.onPublished(messages, fence);
    } catch (error) {
      if (!(error instanceof FenceMoved)) throw error;
      fence = await readFence(loop);
    }
  }
}

async function readFence({ name, relay, newest }: RelayLoop): Promise<number> {
  const fence = await relay.readFence();
  const written = await newest();
  if (fence <= written) return fence;
  throw new ConfigurationError(
    `Lane ${name} has published message ${fence}, but the outbox ends at ${written}: was the state database restored to an earlier time? Delete what this lane has published, with its fence, and type ./sluice resume.`,
  );
}
