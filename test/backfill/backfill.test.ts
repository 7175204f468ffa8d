import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keepPanes } from '../../connectors/postgres/aggregate/comparing.ts';
import { readColumns } from '../../connectors/postgres/source-catalog.ts';
import { batchOf, type Segment } from '../../core/segment.ts';
import { minute, paneMs, Stream } from './stream.ts';

describe('a backfill beside the stream', () => {
  let stream: Stream;
  /** The last hour, in whole panes. */
  let [from, to] = [0, 0];
  const timesAt = (count: number) => Array.from({ length: count }, (_, place) => from + ((place * 7_919) % (to - from)));

  beforeAll(async () => {
    stream = await Stream.open();
    [from, to] = [Math.floor((Date.now() - 60 * minute) / paneMs) * paneMs, Math.floor((Date.now() - minute) / paneMs) * paneMs];
    await stream.posts(20);
    await stream.write([Date.now() - 50]);
    await stream.followed(to);
  });
  afterAll(() => stream[Symbol.asyncDispose]());

  test('E14, E17, E18: what was late or wrong is right afterwards, with updates and deletes in the range meanwhile; an attempt that is given up costs nothing', async () => {
    const ids = await stream.write(timesAt(3_000));
    await stream.followed();
    expect(await stream.late(from, to)).toBeGreaterThan(100);
    await stream.state.query('update sluice.panes_trending_trending set count = count + 3 where pane_ms < $1', [to]);
    await stream.state.query("insert into sluice.panes_trending_trending select pane_ms, 'nobody', 5 from generate_series($1::bigint, $2, 600000) as pane_ms", [from, to - 1]);
    expect((await stream.differences()).length).toBeGreaterThan(0);

    const done = new AbortController();
    const writing = (async () => {
      for (let writes = 0; !done.signal.aborted || writes < 50; writes++) {
        const id = ids[(writes * 31) % ids.length]!;
        if (writes % 3 === 0) await stream.write(timesAt(5), 1 + (writes % 20));
        else if (writes % 3 === 1) await stream.captured.source.query("update post_views set post_id = $2, viewed_at = viewed_at + interval '1 min' where id = $1", [id, 1 + (writes % 20)]);
        else await stream.captured.source.query('delete from post_views where id = $1', [id]);
      }
    })();
    const given = new AbortController();
    const attempts: string[] = [];
    await expect(stream.backfill(from, to, { signal: given.signal, onProgress: ({ doneToMs, phase }) => (attempts.push(phase), doneToMs > from && given.abort(new Error('given up'))) })).rejects.toThrow('given up');
    // one whose time is over ends with the chunk that it has begun
    expect(await stream.backfill(from, to, { durationMs: 0 })).toMatchObject({ isDone: false });
    const { rows, isDone } = await stream.backfill(from, to);
    expect(isDone).toBe(true);
    done.abort();
    await writing;
    await stream.followed();

    expect(attempts).toContain('reading');
    // the first attempt's chunks were not read again
    expect(rows).toBeGreaterThan(1_000);
    expect(await stream.differences()).toEqual([]);
    expect((await stream.state.query('select from sluice.kept_change')).rows).toEqual([]);
    // nothing is left of it
    expect(await stream.backfill(from, to)).toEqual({ rows: 0, isDone: true });
    await stream.sink.endRebuild('a backfill');
    // a worker that stood still until now marks nothing again
    expect(await stream.backfill(from, to)).toEqual({ rows: 0, isDone: true });

    // and once more, now that nobody writes: nothing is late any more
    await stream.backfill(from, to, { name: 'another' });
    await stream.sink.endRebuild('another');
    expect(await stream.late(from, to)).toBe(0);
    expect(await stream.differences()).toEqual([]);
  }, 60_000);

  test('E14: windows with late changes are found, and computed anew they have them', async () => {
    await stream.write([from + 5, from + paneMs * 3, from + paneMs * 200]);
    // for windows that are open still
    await stream.write([Date.now()]);
    await stream.followed();
    const stale = await stream.sink.stale();
    expect(stale).toEqual([
      { fromMs: from, toMs: from + paneMs * 4, views: ['trending'] },
      { fromMs: from + paneMs * 200, toMs: from + paneMs * 201, views: ['trending'] },
    ]);
    for (const { fromMs, toMs } of stale) await stream.backfill(fromMs, toMs, { name: `repair ${fromMs}` });
    expect(await stream.sink.stale()).toEqual([]);
    expect(await stream.late(from, to)).toBe(0);
    expect(await stream.differences()).toEqual([]);
  }, 60_000);

  test('E17: while the pipeline is compared no pane is replaced, and afterwards the backfill goes on', async () => {
    await stream.write(timesAt(50));
    await stream.followed();
    const comparing = await stream.state.connect();
    await keepPanes(comparing as unknown as Client, 'trending');
    const waiting = Promise.withResolvers<void>();
    let phase = '';
    const running = stream.backfill(from, to, {
      name: 'beside a comparison',
      onProgress: (now) => {
        ({ phase } = now);
        if (/comparison/.test(phase)) waiting.resolve();
        expect(now.doneToMs === from || phase !== 'waiting for a comparison of the pipeline to end').toBe(true);
      },
    });
    await waiting.promise;
    comparing.release(true);
    expect((await running).isDone).toBe(true);
    await stream.sink.endRebuild('beside a comparison');
    await stream.followed();
    expect(await stream.differences()).toEqual([]);
  }, 60_000);

  test('E19: a truncate while it reads lets it start over, and is not undone by it', async () => {
    await stream.write(timesAt(2_000));
    await stream.followed();
    let isTruncated = false;
    const truncated = Promise.withResolvers<void>();
    const running = stream.backfill(from, to, {
      name: 'beside a truncate',
      onProgress: ({ doneToMs }) => {
        if (doneToMs === from || isTruncated) return;
        isTruncated = true;
        stream.captured.source.query('truncate post_views').then(() => stream.write(timesAt(10))).then(() => truncated.resolve(), truncated.reject);
      },
    });
    await Promise.all([running, truncated.promise]);
    await stream.sink.endRebuild('beside a truncate');
    await stream.followed();
    expect(isTruncated).toBe(true);
    expect(await stream.differences()).toEqual([]);
  }, 60_000);

  test('E17: a source that was put back to an earlier time is not taken for one that has deleted rows', async () => {
    const before = await stream.snapshot(from, to);
    await stream.write(timesAt(10));
    await stream.followed();
    await expect(stream.backfill(from, to, { name: 'of a restored source', take: async () => before })).rejects.toThrow(/The source of trending is at [0-9a-f]{32}, before [0-9a-f]{32}, which was applied already: it was put back/);
    await stream.sink.endRebuild('of a restored source');
    expect(await stream.differences()).toEqual([]);
  });

  test('E19: a worker that stands still in the middle of a chunk holds up nobody who alters the table, for long', async () => {
    await stream.captured.source.query("insert into post_views (post_id, viewed_at) select 1, to_timestamp($1 / 1000.0) from generate_series(1, 400000)", [from]);
    const snapshot = await stream.snapshot(from, to, { patienceMs: 2_000 });
    const rows = snapshot.read({ fromMs: from, toMs: to });
    await rows.next();
    const alter = stream.captured.source.query('alter table post_views add column more int; alter table post_views drop column more');
    await alter;
    await expect((async () => { for await (const _ of rows); })()).rejects.toThrow(/ECONNRESET|terminat/);
    await snapshot.close();
    await stream.captured.source.query('delete from post_views where viewed_at = to_timestamp($1 / 1000.0)', [from]);
    await stream.followed();
  }, 60_000);

  test('E19: nor does a destination that stands still while a lane is loaded that is added', async () => {
    await stream.captured.source.query("insert into post_views (post_id, viewed_at) select 1, to_timestamp($1 / 1000.0) from generate_series(1, 400000)", [from]);
    const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const load = async (rows: Segment) => {
      if (!batchOf(rows, 'events', 'after')) return;
      begun.resolve();
      await goOn.promise;
    };
    const loading = stream.loadBeside({ readFence: async () => undefined, apply: async () => ({ events: 0 }), load, finishLoad: async () => {}, close: async () => {} }, 2_000);
    loading.catch(() => {});
    await Promise.race([begun.promise, loading]);
    await stream.captured.source.query('alter table post_views add column more int; alter table post_views drop column more');
    goOn.resolve();
    await expect(loading).rejects.toThrow(/ECONNRESET|terminat|connection error/);
    await stream.captured.source.query('delete from post_views where viewed_at = to_timestamp($1 / 1000.0)', [from]);
    await stream.followed();
  }, 60_000);

  test('who is asked to end while the source is silent does not wait for its next row', async () => {
    const { source, pipeline } = stream.captured;
    const asked = new AbortController();
    const snapshot = await stream.snapshot(from, to, { signal: asked.signal });
    await source.query(`begin; lock table ${pipeline.source.events.relation} in access exclusive mode`);
    const reading = (async () => { for await (const _ of snapshot.read({ fromMs: from, toMs: to })); })();
    reading.catch(() => {});
    await expect.poll(async () => (await source.query("select from pg_stat_activity where application_name = 'sluice trending backfill' and wait_event_type = 'Lock'")).rows.length).toBe(1);
    const startedAt = performance.now();
    asked.abort(new Error('asked to end'));
    await expect(reading).rejects.toThrow('asked to end');
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    await source.query('rollback');
    await snapshot.close();
  });

  test('E19: a name that another column has taken since the snapshot is not read', async () => {
    const { source, pipeline } = stream.captured;
    const snapshot = await stream.snapshot(from, to, { known: await readColumns(source, pipeline) });
    await source.query('alter table post_views rename column post_id to old_post_id; alter table post_views add column post_id bigint');
    await expect((async () => { for await (const _ of snapshot.read({ fromMs: from, toMs: to })); })()).rejects.toThrow(/other columns than the pipeline knows/);
    await snapshot.close();
    await source.query('alter table post_views drop column post_id; alter table post_views rename column old_post_id to post_id');
  });

  test('its slot is gone when it ends, and a table that is not there is named', async () => {
    const slots = async () => (await stream.captured.source.query("select from pg_replication_slots where slot_name like 'sluice_backfill%'")).rows.length;
    expect(await slots()).toBe(0);
    const { pipeline } = stream.captured;
    const lost = { ...pipeline, source: { ...pipeline.source, events: { ...pipeline.source.events, relation: 'public.gone' } } };
    await expect(stream.backfill(from, to, { name: 'of a lost table', pipeline: lost })).rejects.toThrow('Table public.gone does not exist in the source. Create it');
    await stream.sink.endRebuild('of a lost table');
    expect(await slots()).toBe(0);
  });
});
