import fc from 'fast-check';
import { expect } from 'vitest';
import { streams } from './random-stream.ts';
import { segmentsOf, type World } from './world.ts';

/** I6: whatever the stream, and however it is cut, also in the midst of transactions, and gathered, `kept` comes out the same. */
export async function assertSameByAnyCut(world: World, kept: () => Promise<unknown>, numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(streams, fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (stream, choices) => {
      const choice = choices[Symbol.iterator]();
      const chance = (of: number) => (choice.next().value as number) < of;
      await world.forget();
      await world.applyAll(segmentsOf(stream));
      const expected = await kept();

      await world.forget();
      const segments = segmentsOf(stream, () => chance(3), () => chance(5));
      for (let first = 0; first < segments.length; ) {
        const last = Math.min(segments.length, first + 1 + (chance(5) ? 1 : 0));
        await world.sink.apply(segments.slice(first, last), segments[first]!.header.from, segments[last - 1]!.header.to);
        first = last;
      }
      expect(await kept()).toEqual(expected);
    }),
    { numRuns },
  );
}
