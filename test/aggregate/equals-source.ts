import { expect } from 'vitest';
import type { PlainTransaction } from '../../core/segment-builder.ts';
import { rowsLeftBy } from './random-stream.ts';
import { start, type Pane, type WindowMessage, type World } from './world.ts';

/** Panes and late deltas are SQL over what the stream leaves in the source (I7, E14), and a published window is the top of its panes. All windows must have become final. */
export async function assertEqualsSource(world: World, stream: readonly PlainTransaction[]): Promise<void> {
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
