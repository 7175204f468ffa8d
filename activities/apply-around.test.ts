import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { truncatesWithin } from '../connectors/events-within.ts';
import { PoisonError } from '../connectors/poison-error.ts';
import { ConfigurationError, FenceMoved, type Applied } from '../connectors/sink.ts';
import { eventPositions } from '../core/event-positions.ts';
import { origin, type Position } from '../core/position.ts';
import type { Segment } from '../core/segment.ts';
import { endOf, intents, segmentsOf, streamOf } from '../test/sinks/stream.ts';
import { applyAround, type Letters } from './apply-around.ts';

/** Takes whole pieces of at most `piece` events, as the HTTP sink does: what comes before a refused piece is applied. */
class ChoosySink {
  fence: Position = origin;
  readonly taken: Position[] = [];
  applies = 0;
  readonly #poison: ReadonlySet<Position>;
  readonly #piece: number;

  constructor(poison: ReadonlySet<Position>, piece: number) {
    this.#poison = poison;
    this.#piece = piece;
  }

  async readFence(): Promise<Position> {
    return this.fence;
  }

  async apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    this.applies++;
    if (this.fence !== from) throw new FenceMoved('test', from, this.fence);
    const positions = eventPositions(segments, from, to);
    for (let at = 0; at < positions.length; at += this.#piece) {
      const piece = positions.slice(at, at + this.#piece);
      if (piece.some((position) => this.#poison.has(position))) throw new PoisonError('test', 'it is poison');
      this.taken.push(...piece);
      this.fence = piece.at(-1)!;
    }
    this.fence = to;
    return { events: positions.length };
  }
}

class KeptLetters implements Letters {
  readonly kept: Position[] = [];
  readonly order: string[] = [];
  #voidBelow: Position = origin;
  /** I7: until a truncate is applied, what it will bury is in the destination or a letter. */
  readonly comeTooLate: Position[] = [];
  async keep(event: { readonly position: Position }): Promise<void> {
    if (event.position < this.#voidBelow) this.comeTooLate.push(event.position);
    this.kept.push(event.position);
    this.order.push(`letter ${event.position}`);
  }
  passed(): void {}
  async voidBelow(position: Position): Promise<void> {
    this.order.push(`void below ${position}`);
    if (position > this.#voidBelow) this.#voidBelow = position;
  }
}

const cuts = fc.uniqueArray(fc.nat(70), { maxLength: 6 }).map((list) => new Set(list));
const never = new AbortController().signal;

describe('applying around poison', () => {
  test('each event is applied once or is a letter, in order, and the fence ends where it should', async () => {
    await fc.assert(
      fc.asyncProperty(intents, fc.integer({ min: 1, max: 9 }), cuts, fc.array(fc.nat(), { maxLength: 8 }), fc.integer({ min: 1, max: 80 }), async (list, size, cutAt, which, piece) => {
        const { segments } = streamOf(list, size, cutAt);
        const all = eventPositions(segments, origin, endOf(segments));
        const poison = new Set(all.length === 0 ? [] : which.map((each) => all[each % all.length]!));
        const [sink, letters] = [new ChoosySink(poison, piece), new KeptLetters()];
        const { fence, applied } = await applyAround({ name: 'test', sink, letters, key: 'id', signal: never }, segments, origin, endOf(segments));
        expect(fence).toBe(endOf(segments));
        expect(sink.fence).toBe(fence);
        expect(letters.kept).toEqual([...poison].sort());
        expect(sink.taken).toEqual(all.filter((position) => !poison.has(position)));
        expect(applied.deadLetters).toBe(poison.size);
        // halving: a few applies for each, not one for each event
        expect(sink.applies).toBeLessThanOrEqual(1 + truncatesWithin(segments, origin, endOf(segments)).length + poison.size * 2 * (2 + Math.log2(all.length + 1)));
        expect(letters.comeTooLate).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('begins anew from the fence after any crash, and the letters are the same', async () => {
    await fc.assert(
      fc.asyncProperty(intents, cuts, fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), fc.nat(40), async (list, cutAt, which, crashAt) => {
        const { segments, transactions } = streamOf(list, 4, cutAt);
        const all = eventPositions(segments, origin, endOf(segments));
        const poison = new Set(all.length === 0 ? [] : which.map((each) => all[each % all.length]!));
        const [sink, letters] = [new ChoosySink(poison, 3), new KeptLetters()];
        let calls = 0;
        const dying = { readFence: () => sink.readFence(), apply: async (...args: Parameters<ChoosySink['apply']>) => (calls++ === crashAt ? Promise.reject(new Error('killed')) : sink.apply(...args)) };
        const around = { name: 'test', letters, key: 'id', signal: never };
        await applyAround({ ...around, sink: dying }, segments, origin, endOf(segments)).catch((error: Error) => expect(error.message).toBe('killed'));
        // another worker has other cuts
        if (sink.fence < endOf(segments)) await applyAround({ ...around, sink }, segmentsOf(transactions, new Set()), sink.fence, endOf(segments));
        expect([...new Set(letters.kept)]).toEqual([...poison].sort());
        expect(letters.comeTooLate).toEqual([]);
        expect(sink.taken).toEqual(all.filter((position) => !poison.has(position)));
      }),
      { numRuns: 200 },
    );
  });

  const three = () => streamOf([{ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }, { kind: 'truncate', slot: 0, row: {} }, { kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } }], 1, new Set()).segments;

  test('E8: letters from before a truncate are void before it is applied', async () => {
    const segments = three();
    const all = eventPositions(segments, origin, endOf(segments));
    const truncated = segments.flatMap(({ truncates }) => truncates)[0]!.position;
    const [sink, letters] = [new ChoosySink(new Set(all), 9), new KeptLetters()];
    await applyAround({ name: 'test', sink, letters, key: 'id', signal: never }, segments, origin, endOf(segments));
    expect(letters.order.indexOf(`letter ${all[0]!}`)).toBeLessThan(letters.order.lastIndexOf(`void below ${truncated}`));
    expect(letters.kept).toEqual(all);
  });

  test('a letter that has no room stops the lane, with the fence before its event', async () => {
    const segments = three();
    const all = eventPositions(segments, origin, endOf(segments));
    const sink = new ChoosySink(new Set([all[1]!]), 9);
    const full = { keep: () => Promise.reject(new ConfigurationError('too many')), passed: () => {}, voidBelow: async () => {} };
    await expect(applyAround({ name: 'test', sink, letters: full, key: 'id', signal: never }, segments, origin, endOf(segments))).rejects.toThrow('too many');
    expect(sink.fence).toBe(all[0]);
  });

  test('what is refused without any event is nobody\'s letter', async () => {
    const segments = three();
    const letters = new KeptLetters();
    const sink = { readFence: async () => origin, apply: () => Promise.reject(new PoisonError('the table refuses everything', 'so')) };
    await expect(applyAround({ name: 'test', sink, letters, key: 'id', signal: never }, segments, origin, endOf(segments))).rejects.toThrow('Lane test: the table refuses everything, and no single event is to blame');
  });

  test('it ends between two applies when it is asked to, with what is done behind the fence', async () => {
    const { segments } = streamOf(Array.from({ length: 40 }, () => ({ kind: 'insert' as const, slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z' } })), 4, new Set());
    const all = eventPositions(segments, origin, endOf(segments));
    const [sink, letters, stop] = [new ChoosySink(new Set([all[30]!]), 1_000), new KeptLetters(), new AbortController()];
    letters.voidBelow = async () => {};
    const stopping = { readFence: () => sink.readFence(), apply: async (...args: Parameters<ChoosySink['apply']>) => sink.apply(...args).finally(() => sink.fence > origin && stop.abort()) };
    const { fence } = await applyAround({ name: 'test', sink: stopping, letters, key: 'id', signal: stop.signal }, segments, origin, endOf(segments));
    expect(fence).toBe(all[19]);
    expect(sink.fence).toBe(fence);
  });
});
