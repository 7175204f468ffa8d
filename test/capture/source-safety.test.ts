import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SourceWatch } from '../../activities/source-watch.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState } from '../../connectors/postgres/state/state.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import { systemFiles } from '../../connectors/spool/files.ts';
import { lsnText, parsePosition } from '../../core/position.ts';
import type { SlotForecast } from '../../core/slot-forecast.ts';
import { CapturedSource, until } from './captured-source.ts';
import { OwnServer } from './own-server.ts';

/** Small limits, stops and lost slots, on a server of their own. */
describe('the source is never endangered', { timeout: 90_000 }, () => {
  let server: OwnServer;
  let stream: CapturedSource | undefined;

  const limits = { max_slot_wal_keep_size: '256MB', min_wal_size: '32MB' };

  beforeAll(async () => {
    server = await OwnServer.make(100);
    await server.start(limits);
  }, 60_000);

  afterAll(() => server?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    await server.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active');
    for (const schema of ['sluice', 'results']) await server.query(`drop schema if exists ${schema} cascade`);
  });

  afterEach(async () => {
    await stream?.[Symbol.asyncDispose]();
    stream = undefined;
  });

  const slot = () => server.query<{ status: string; confirmed: string; safe: string | null }>("select wal_status as status, confirmed_flush_lsn - '0/0' as confirmed, safe_wal_size::text as safe from pg_replication_slots where slot_name = 'sluice_trending'");
  const newWal = () => server.query('select pg_switch_wal()').then(() => server.query('checkpoint'));

  /** Some rows are in the spool, and the capture has ended. Returns between which times they were committed. */
  async function captured(): Promise<{ afterMs: number; beforeMs: number }> {
    const afterMs = Date.now();
    await stream!.capture(async () => {
      await stream!.insert(3);
      await stream!.untilSpooled();
    });
    return { afterMs, beforeMs: Date.now() };
  }

  async function expectGap(refused: Promise<unknown>, what: RegExp, { afterMs, beforeMs }: { afterMs: number; beforeMs: number }): Promise<void> {
    const error: unknown = await refused.then(() => undefined, (reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigurationError);
    const { message } = error as Error;
    expect(message).toMatch(what);
    const { to } = (await stream!.log.tail())!;
    expect(message).toContain(`The gap begins behind position ${to} (WAL position ${lsnText(parsePosition(to).lsn)}, committed `);
    const committed = Date.parse(/committed (\S+Z)\)/.exec(message)![1]!);
    expect(committed).toBeGreaterThanOrEqual(afterMs - 5);
    expect(committed).toBeLessThanOrEqual(beforeMs + 5);
    expect(message).toMatch(/and goes up to (the source's present )?WAL position [0-9A-F]+\/[0-9A-F]+.*Load the pipeline anew/);
  }

  test('a slot that was dropped parks with the gap: position, WAL position and commit time', async () => {
    stream = await CapturedSource.load(server.url);
    const between = await captured();
    await server.query("select pg_drop_replication_slot('sluice_trending')");
    await expectGap(stream.capture(), /^The replication slot sluice_trending of pipeline trending is gone: /, between);
  });

  test('a slot that was made again parks with the gap, and where it ends', async () => {
    stream = await CapturedSource.load(server.url);
    const between = await captured();
    await server.query("select pg_drop_replication_slot('sluice_trending')");
    await stream.insert(1);
    await server.query("select pg_create_logical_replication_slot('sluice_trending', 'pgoutput')");
    await expectGap(stream.capture(), /somebody advanced it or made it again/, between);
  });

  test('a slot that max_slot_wal_keep_size invalidated parks with the gap; it was announced before', async () => {
    stream = await CapturedSource.load(server.url);
    const between = await captured();
    const state = openState(server.url);
    const alarms: SlotForecast[] = [];
    const watch = new SourceWatch({ config: { sourceUrl: server.url } as never, state, declared: () => stream!.pipeline }, ['trending', 'engagement'], (_, forecast) => alarms.push(forecast));
    try {
      await migrate(state);
      await server.query("insert into sluice.shard (pipeline, shard, epoch, slot, system_identifier, state, definition_hash) values ('trending', 'trending', 1, 'sluice_trending', '1', 'streaming', '')");
      await watch.look();
      expect(watch.forecasts).toMatchObject([['trending', { alarm: 'none' }]]);
      // beyond the limit, but not yet taken away: that is a checkpoint's work
      await stream.writeWal(270);
      await watch.look();
      expect(alarms).toMatchObject([{ alarm: 'critical', sentence: expect.stringMatching(/^the source keeps \S+ MiB for this slot, more than its limit \(max_slot_wal_keep_size, 256 MiB\): the slot is lost at the next checkpoint unless it is read now/) }]);
      await newWal();
      await until(async () => (await slot()).status === 'lost', 'the slot is lost');
      await watch.look();
      await watch.look();
      expect(alarms.map(({ alarm }) => alarm)).toEqual(['critical', 'lost']);
      await expectGap(stream.capture(), /^The replication slot sluice_trending of pipeline trending was invalidated, because it held back more WAL than max_slot_wal_keep_size( \(nobody has read it since [^)]+\))?: /, between);
      await server.query("select pg_drop_replication_slot('sluice_trending')");
      await watch.look();
      expect(watch.forecasts).toMatchObject([['trending', { alarm: 'lost', sentence: expect.stringContaining('the slot is gone') }]]);
    } finally {
      await watch.stop();
      await state.end();
    }
  });

  test('E7: lanes that stand still do not cost the slot: the spool is confirmed before max_slot_wal_keep_size, whatever maxSlotLag says', async () => {
    stream = await CapturedSource.load(server.url, { maxSlotLagBytes: 1 << 30, canaryMs: 200 });
    const { confirmed: before } = await slot();
    await stream.capture(async () => {
      for (let round = 0; round < 9; round++) {
        await stream!.insert(1);
        await stream!.writeWal(32);
        await stream!.untilSpooled();
        const { rows: [end] } = await stream!.source.query<{ lsn: string }>("select pg_current_wal_lsn() - '0/0' as lsn");
        await until(async () => Number(end!.lsn) - Number((await slot()).confirmed) <= 128 << 20, 'no more than half of the limit is unconfirmed');
        await newWal();
      }
      expect((await slot()).status).not.toBe('lost');
    });
    expect(Number((await slot()).confirmed) - Number(before)).toBeGreaterThan(256 << 20);
    expect(stream.shard.confirmed!.to > stream.fence).toBe(true);
  });

  /** Fills a spool that has room for 20,000 bytes, and writes more. Returns its last segment, behind which nothing was read. */
  async function filled() {
    const isFull = () => stream!.progress !== undefined && stream!.progress.spoolBytes >= stream!.progress.spoolBudgetBytes;
    for (let inserts = 0; inserts < 100 && !isFull(); inserts++) {
      await stream!.insert(100);
      await Promise.race([stream!.untilSpooled(), until(isFull, 'the spool is full', 60_000)]);
    }
    expect(isFull()).toBe(true);
    const { to } = (await stream!.log.tail())!;
    await stream!.insert(100);
    await stream!.writeWal(16);
    await until(() => stream!.progress!.slotLagBytes > 16 << 20, 'the lag of what is not read is told', 25_000);
    const kept = (await stream!.log.tail())!;
    expect(parsePosition(kept.to).lsn - parsePosition(to).lsn).toBeLessThan(16n << 20n);
    return kept;
  }

  test('E20 hold: a full spool reads nothing more, and the slot lag that is told goes on growing', async () => {
    stream = await CapturedSource.load(server.url, { spoolBudgetBytes: 20_000, segmentBytes: 5_000, canaryMs: 200 });
    await stream.capture(async () => void (await filled()));
  });

  test('E20 hold: a spool whose disk is nearly full is held like one at its budget, and what every lane has makes room', async () => {
    const room = (64 << 20) + 20_000;
    const free = async (directory: string) => {
      const segments = (await systemFiles.names(directory)).filter((name) => name.endsWith('.segment'));
      const sizes = await Promise.all(segments.map((name) => systemFiles.describe(join(directory, name))));
      return room - sizes.reduce((sum, found) => sum + (found?.size ?? 0), 0);
    };
    stream = await CapturedSource.load(server.url, { segmentBytes: 5_000, canaryMs: 200 }, { ...systemFiles, free });
    await stream.capture(async () => {
      const kept = await filled();
      stream!.fence = kept.to;
      await stream!.untilSpooled();
      expect((await stream!.log.oldest())!.seq).toBeGreaterThanOrEqual(kept.seq);
    });
  });

  test('E7: a source that stops does not wait for us, though nothing is confirmed', async () => {
    stream = await CapturedSource.load(server.url, { canaryMs: 200 });
    let stopping: Promise<number> | undefined;
    const ended = stream.capture(async () => {
      await stream!.insert(100);
      await stream!.untilSpooled();
      stopping = server.stop();
      await new Promise(() => {});
    });
    await expect(ended).rejects.toThrow(/terminating connection due to administrator command|closed the connection/);
    const stopMs = await stopping;
    await server.start(limits);
    expect(stopMs).toBeLessThan(3_000);
  });

  test('a state database restored to an earlier time: what the slot was told since is in the spool', async () => {
    stream = await CapturedSource.load(server.url);
    const { shard } = stream;
    await stream.capture(async () => {
      await stream!.insert(3);
      await stream!.untilSpooled();
      stream!.fence = (await stream!.log.tail())!.to;
    });
    expect(stream.shard.confirmed!.lsn).toBeGreaterThan(shard.confirmed!.lsn);
    stream.shard = shard;
    const before = (await stream.log.tail())!.seq;
    await captured();
    expect((await stream.log.tail())!.seq).toBeGreaterThan(before + 1);
  });

  test('E7: a source whose commits would wait for us is refused', async () => {
    stream = await CapturedSource.load(server.url);
    await stream.source.query("set synchronous_commit = 'local'");
    await stream.source.query("alter system set synchronous_standby_names = '*'");
    await stream.source.query('select pg_reload_conf()');
    try {
      await until(async () => (await server.query<{ names: string }>("select current_setting('synchronous_standby_names') as names")).names === '*', 'the setting is there');
      await expect(stream.capture()).rejects.toThrow(/every commit there would wait for this pipeline's sinks/);
    } finally {
      await stream.source.query('alter system reset synchronous_standby_names');
      await stream.source.query('select pg_reload_conf()');
    }
  });
});
