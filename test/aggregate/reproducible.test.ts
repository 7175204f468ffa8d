import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FenceMoved } from '../../connectors/sink.ts';
import type { PlainTransaction } from '../../core/segment-builder.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { rowsLeftBy, streams } from './random-stream.ts';
import type { Pane, WindowMessage } from './world.ts';
import { World, canary, segmentsOf, start, startOfStream } from './world.ts';

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

        await world.state.query('create table if not exists source_rows (k text collate "C", at timestamptz, points int)');
        await world.state.query('truncate source_rows');
        const rows = rowsLeftBy(stream);
        await world.state.query('insert into source_rows select * from unnest($1::text[], $2::timestamptz[], $3::int[])', [rows.map(({ k }) => k), rows.map(({ at }) => at), rows.map(({ points }) => points)]);
        const sql = await world.rows(`
          select (extract(epoch from date_bin('10 s', at, '1970-01-01Z')) * 1000)::bigint::text as pane_ms, k as key, count(*)::int as count, coalesce(sum(points), 0)::float8 as points
          from source_rows where k is not null and isfinite(at) group by 1, 2`);

        const panes = await world.panes();
        expect(added([...panes, ...(await world.late())])).toEqual(added(sql.map((row) => ({ ...row, pane_ms: Number(row.pane_ms) }) as Pane)));

        for (const [view, sizeMs, top, by] of [['tumble', 10_000, 3, 'count'], ['hop', 30_000, 2, 'points']] as const) {
          const said = await world.windows(view);
          const ends = new Set(panes.flatMap(({ pane_ms }) => Array.from({ length: sizeMs / 10_000 }, (_, index) => pane_ms + (index + 1) * 10_000)));
          for (const end of ends) {
            const expected = ranked(panes.filter(({ pane_ms }) => pane_ms >= end - sizeMs && pane_ms < end), view, by).slice(0, top);
            const message = said.get((end - start) / 1000);
            expect(message ? shown(message) : []).toEqual(expected);
          }
          for (const [end, message] of said) {
            expect(message.final).toBe(true);
            if (!ends.has(end * 1000 + start)) expect(message.rows).toEqual([]);
          }
        }
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

function added(panes: readonly Pane[]): readonly Pane[] {
  const sums = new Map<string, Pane>();
  for (const { pane_ms, key, count, points } of panes) {
    const sum = sums.get(`${pane_ms} ${key}`) ?? { pane_ms, key, count: 0, points: 0 };
    sums.set(`${pane_ms} ${key}`, { ...sum, count: sum.count + count, points: sum.points + points });
  }
  return [...sums.values()].filter(({ count, points }) => count !== 0 || points !== 0).sort((a, b) => a.pane_ms - b.pane_ms || byBytes(a.key, b.key));
}

function ranked(panes: readonly Pane[], view: 'tumble' | 'hop', by: 'count' | 'points') {
  const keys = new Map<string, { count: number; points: number }>();
  for (const { key, count, points } of panes) {
    const sum = keys.get(key) ?? { count: 0, points: 0 };
    keys.set(key, { count: sum.count + count, points: sum.points + points });
  }
  return [...keys]
    .filter(([, { count, points }]) => count !== 0 || (view === 'hop' && points !== 0))
    .sort(([a, left], [b, right]) => right[by] - left[by] || byBytes(a, b))
    .map(([key, { count, points }], index) => ({ rank: index + 1, key, measures: { views: String(count), ...(view === 'hop' && { points: String(points) }) } }));
}

function shown(message: WindowMessage) {
  return message.rows.map(({ rank, key, measures }) => ({ rank, key, measures }));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
