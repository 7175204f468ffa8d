import { describe, expect, test } from 'vitest';
import type { ColumnRecord, FoundColumns } from '../../connectors/postgres/column-watch.ts';
import { readColumns } from '../../connectors/postgres/source-catalog.ts';
import { planMigration } from '../../core/migration/plan.ts';
import { reshaped, type Shape } from '../../core/migration/shape.ts';
import { positionAt } from '../../core/position.ts';
import { batchOf } from '../../core/segment.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource } from './captured-source.ts';

describe('a change of columns ends the capture exactly where it is', () => {
  test('between rows of one transaction, which come again with the columns of before; key and event time renamed, keys changed', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url, { segmentRows: 7 });
    const { source, pipeline } = stream;
    await source.query(`
      begin;
      insert into post_views (id, viewed_at) select g, now() from generate_series(1, 20) g;
      update post_views set id = id + 100 where id > 15;
      alter table post_views rename column viewed_at to seen_at;
      alter table post_views rename column id to number;
      insert into post_views (number, seen_at) select g, now() from generate_series(201, 220) g;
      update post_views set number = number + 100 where number > 210;
      alter table post_views add column note text;
      insert into post_views (number, seen_at, note) values (401, now(), 'x');
      commit;
    `);
    const found: FoundColumns[] = [];
    const recorded = (number: number, columns: Shape): ColumnRecord => ({ shape: { number, columns }, known: undefined, keep: async () => {}, concerns: (changes) => planMigration(pipeline, columns, changes).verdict !== 'nothing', record: async (change) => found.push(change) });
    stream.columns = recorded(0, {});
    const first = await stream.capture();
    expect(first).toMatchObject({ reason: 'changed', change: 1, events: 20 + 5 * 2 });
    const { approve } = planMigration(pipeline, {}, found[0]!.changes);
    const shape = approve.possible ? approve.shape : {};
    expect(shape).toEqual({ events: { viewed_at: { from: 'seen_at', was: ['viewed_at'] }, id: { from: 'number', was: ['id'] } } });

    // whoever goes on without knowing what became of it comes to the same place
    expect(await stream.capture()).toMatchObject({ reason: 'changed', change: 2, events: 0, position: first.position });

    stream.pipeline = reshaped(pipeline, shape);
    stream.columns = recorded(1, shape);
    expect(await stream.capture(() => stream.untilSpooled())).toMatchObject({ reason: 'stopped', events: 20 + 10 * 2 + 1 });

    const positions: string[] = [];
    for (let after = stream.fence; ; ) {
      const segments = await stream.log.read(after, { maxRows: 1e6 }, AbortSignal.abort());
      if (segments.length === 0) break;
      for (const segment of segments) {
        const isAfter = segment.header.to > first.position;
        if (segment.header.kind === 'events') expect(segment.header.shape).toBe(isAfter ? 1 : undefined);
        for (const image of ['before', 'after'] as const) {
          const batch = batchOf(segment, 'events', image);
          for (let row = 0; row < (batch?.rows ?? 0); row++) positions.push(`${positionAt(batch!.positions, row)} ${image}`);
        }
        after = segment.header.to;
      }
    }
    expect(new Set(positions).size).toBe(positions.length);
    expect(positions.filter((each) => each.endsWith('after'))).toHaveLength(20 + 5 + 20 + 10 + 1);
  });

  test('where another column has got the name of one that is read, while nobody looked', async () => {
    await using database = await throwAwayDatabase();
    await using stream = await CapturedSource.load(database.url);
    const { source, pipeline } = stream;
    const found: FoundColumns[] = [];
    stream.columns = { shape: { number: 0, columns: {} }, known: await readColumns(source, pipeline), keep: async () => {}, concerns: () => true, record: async (change) => found.push(change) };
    await source.query(`
      insert into post_views (post_id, viewed_at) values (null, now());
      alter table post_views rename column post_id to old_post_id;
      alter table post_views add column post_id bigint;
      insert into post_views (post_id, viewed_at) values (1, now());
      alter table post_views rename column post_id to new_post_id;
    `);
    expect(await stream.capture()).toMatchObject({ reason: 'changed', events: 1 });
    expect(found[0]!.changes).toEqual([{ table: 'events', changes: [{ kind: 'renamed', column: 'post_id', to: 'old_post_id', type: 'int8' }, { kind: 'added', column: 'post_id', type: 'int8', typeName: 'int8' }] }]);
  });
});
