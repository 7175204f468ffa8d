import { writeBacklog } from '../backlog.ts';
import type { Case, CaseContext, Line } from '../case.ts';
import { catchUp } from '../catch-up.ts';
import { compareByVerify } from '../compare.ts';
import { catchUpLine } from '../lines.ts';
import { fillMade } from '../made-rows.ts';
import { columnCounts, columnsTable } from '../pipelines/columns.ts';
import { lanes, views } from '../pipelines/growth.ts';
import { keysTable } from '../pipelines/keys.ts';
import { fillSample, measureRound } from '../rounds.ts';

export const axes = ['keys', 'columns', 'lanes', 'views'] as const;

export const growth: Case = {
  name: 'growth',
  what: 'Events per second against the number of keys, of columns, of lanes and of views, half of the events of plain at each point. Compared by verify.',
  short: false,
  limitMinutes: 30,
  slower: 'that is what is looked for here',

  async *run(context) {
    const events = Math.ceil(context.rows / 2);
    yield* byKeys(context, events);
    yield* byColumns(context, events);
    yield* bySample(context, 'lanes', lanes.map(({ name, sinks }) => ({ name, at: 1 + Object.keys(sinks).length })), events);
    yield* bySample(context, 'views', views.map(({ name, views: each }) => ({ name, at: Object.keys(each).length })), events);
  },
};

/** The same pipeline and table; each point finds fewer of its keys there than it brings. */
async function* byKeys({ open, signal, compared }: CaseContext, events: number): AsyncGenerator<Line> {
  const world = await open({ own: true, sql: keysTable(1).sql });
  await world.start('keys');
  for (const distinct of new Set([100, 1_000, 10_000, 100_000, events].filter((each) => each <= events))) {
    const line = await measureRound(world, 'keys', `${distinct.toLocaleString('en')} keys`, async () => ({ events, last: await fillMade(world.client, keysTable(distinct), events, signal) }));
    yield { ...line, point: { axis: 'keys', at: distinct } };
  }
  compared(await compareByVerify(world, 'keys'));
}

/** A table and a pipeline a point, which begins when the one before is paused. */
async function* byColumns({ open, signal, compared }: CaseContext, events: number): AsyncGenerator<Line> {
  const world = await open({ own: true, sql: columnCounts.map((columns) => columnsTable(columns).sql).join('\n') });
  for (const columns of columnCounts) {
    const name = `columns_${columns}`;
    await world.start(name);
    const line = await measureRound(world, name, `${columns} columns`, async () => ({ events, last: await fillMade(world.client, columnsTable(columns), events, signal) }));
    yield { ...line, point: { axis: 'columns', at: columns } };
    // before the next one: its rows have the same keys, and the receiver would fold them over these
    compared(await compareByVerify(world, name));
    await world.pause([name]);
  }
}

/** All on the sample's table: each has the same changes in its slot. */
async function* bySample({ open, compared }: CaseContext, axis: 'lanes' | 'views', points: readonly { readonly name: string; readonly at: number }[], events: number): AsyncGenerator<Line> {
  const names = points.map(({ name }) => name);
  const world = await open({ own: true });
  await world.start(...names);
  await world.pause(names);
  const backlog = await writeBacklog(world, names[0]!, await fillSample(world, events));
  for (const { name, at } of points) {
    const line = catchUpLine(`${at} ${axis}`, backlog, await catchUp(world, [name], backlog));
    yield { ...line, point: { axis, at } };
    compared(await compareByVerify(world, name));
    await world.pause([name]);
  }
}
