import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FenceMoved } from '../../connectors/sink.ts';
import type { PlainTransaction } from '../../core/segment-builder.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { assertEqualsSource } from './equals-source.ts';
import { streams } from './random-stream.ts';
import { World, canary, segmentsOf, startOfStream } from './world.ts';

describe('aggregate lane, any stream', () => {
  let world: World;
  beforeAll(async () => void (world = await World.open()));
  afterAll(() => world[Symbol.asyncDispose]());

  test('I2, I6, E5: however it is cut, grouped, held, repeated and resumed, the same panes, late rows and messages come out', async () => {
    await fc.assert(
      fc.asyncProperty(streams, fc.infiniteStream(fc.integer({ min: 0, max: 9 })), async (stream, choices) => {
        const choice = choices[Symbol.iterator]();
        const chance = (of: number) => (choice.next().value as number) < of;
        await world.forget();
        await world.applyAll(segmentsOf(stream));
        const expected = await world.everything();

        await world.forget();
        const segments = segmentsOf(stream, () => chance(2), () => chance(4));
        const end = segments.at(-1)!.header.to;
        for (let from: Position = startOfStream; from < end; ) {
          const to = placesAfter(stream, segments, from).find((_, index, all) => chance(3) || index === all.length - 1)!;
          // a crash: the spool was lost too, and the same events come again cut otherwise
          const source = chance(2) ? segmentsOf(stream, () => chance(3), () => chance(5)) : segments;
          await world.sink.apply(source, from, to);
          if (chance(2)) await expect(world.sink.apply(source, from, to)).rejects.toThrow(FenceMoved);
          from = to;
        }
        expect(await world.everything()).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  }, 180_000);

  test('I7, E8, E14: panes and late deltas are SQL over the source; a published window is the top of its panes', async () => {
    await fc.assert(
      fc.asyncProperty(streams, async (stream) => {
        await world.forget();
        const last = stream.length + 1;
        await world.applyAll(segmentsOf([...stream, canary(last, 60_000)]));

        await assertEqualsSource(world, stream);
      }),
      { numRuns: 40 },
    );
  }, 180_000);
});

/** Where a lane may be told to stop: at the ends of segments, and at any event (a hold). */
function placesAfter(stream: readonly PlainTransaction[], segments: readonly Segment[], from: Position): readonly Position[] {
  const end = segments.at(-1)!.header.to;
  const places = stream.flatMap(({ lsn, events }) => Array.from({ length: events.length + 2 }, (_, ordinal) => position(1, lsn, ordinal)));
  return [...new Set([...places, ...segments.map(({ header }) => header.to)])].filter((place) => place > from && place <= end).sort();
}
