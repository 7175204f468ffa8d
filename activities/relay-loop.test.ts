import { describe, expect, test } from 'vitest';
import type { OutboxMessage, Relay } from '../connectors/relay.ts';
import { ConfigurationError, FenceMoved } from '../connectors/sink.ts';
import { origin } from '../core/position.ts';
import { runRelay, type RelayLoop } from './relay-loop.ts';

class RecordingRelay implements Relay {
  fence = 0;
  readonly published: number[][] = [];
  async readFence(): Promise<number> {
    return this.fence;
  }
  async publish(messages: readonly OutboxMessage[], from: number, to: number): Promise<void> {
    if (this.fence !== from) throw new FenceMoved('test', origin, String(this.fence));
    this.published.push(messages.map(({ seq }) => seq));
    this.fence = to;
  }
  async close(): Promise<void> {}
}

describe('a relay lane', () => {
  const messages: OutboxMessage[] = [];
  const add = (...seqs: number[]) => messages.push(...seqs.map((seq): OutboxMessage => ({ seq, view: 'v', body: { truncated: true } })));

  function stage() {
    messages.length = 0;
    const relay = new RecordingRelay();
    const stop = new AbortController();
    const run = (options: Partial<RelayLoop> = {}) =>
      runRelay({
        name: 'board',
        relay,
        readOutbox: async (after, limit) => messages.filter(({ seq }) => seq > after).slice(0, limit),
        newest: async () => messages.at(-1)?.seq ?? 0,
        reached: async () => undefined,
        wait: async () => stop.abort(),
        signal: stop.signal,
        onPublished: () => {},
        ...options,
      });
    return { relay, stop, run };
  }

  test('publishes in order what follows its fence, gaps included, then waits', async () => {
    const { relay, run } = stage();
    relay.fence = 2;
    add(1, 2, 3, 5);
    expect(await run()).toBe('asked');
    expect(relay.published).toEqual([[3, 5]]);
    expect(relay.fence).toBe(5);
  });

  test('is held only when the outbox is empty after the aggregate lane has reached the position', async () => {
    const { relay, run } = stage();
    add(1);
    let asked = 0;
    const wait = async () => {};
    const reached = async () => {
      if (++asked === 3) add(2); // written before the aggregate lane says that it is there
      return asked >= 3 ? ('held' as const) : undefined;
    };
    expect(await run({ reached, wait })).toBe('held');
    expect(relay.published).toEqual([[1], [2]]);
  });

  test('goes on from the new fence when another worker has moved it', async () => {
    const { relay, run } = stage();
    add(1, 2, 3);
    let first = true;
    const readOutbox: RelayLoop['readOutbox'] = async (after) => {
      if (first) relay.fence = 2;
      first = false;
      return messages.filter(({ seq }) => seq > after);
    };
    await run({ readOutbox });
    expect(relay.published).toEqual([[3]]);
  });

  test('I4: a fence above the outbox means that the state database went back', async () => {
    const { relay, run } = stage();
    relay.fence = 9;
    add(1);
    await expect(run()).rejects.toThrow(ConfigurationError);
    await expect(run()).rejects.toThrow(/published message 9, but the outbox ends at 1/);
  });
});
