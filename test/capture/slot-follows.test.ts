import { Client } from 'pg';
import { expect, test, vi } from 'vitest';
import { SlotFollower } from '../../connectors/postgres/canary.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource, until } from './captured-source.ts';

test('what a slot keeps of WAL that was confirmed is soon little, and not only when the server lets it follow after 15 s', async () => {
  await using database = await throwAwayDatabase();
  await using stream = await CapturedSource.load(database.url, { canaryMs: 200 });
  const kept = async () => {
    const { rows: [slot] } = await stream.source.query<{ kept: string; confirmed: string }>("select confirmed_flush_lsn - restart_lsn as kept, confirmed_flush_lsn - '0/0' as confirmed from pg_replication_slots where slot_name = $1", [sourceNames(stream.pipeline.name).slot]);
    return slot!;
  };
  await stream.capture(async () => {
    for (let times = 0; times < 3; times++) {
      const { confirmed } = await kept();
      await stream.writeWal(40);
      await stream.insert(1);
      await stream.untilSpooled();
      await until(async () => (stream.lanesFollow(), BigInt((await kept()).confirmed) - BigInt(confirmed) > 40 << 20), 'it is confirmed');
      await until(async () => (stream.lanesFollow(), Number((await kept()).kept) < 20 << 20), 'the slot has followed', 6_000);
    }
    expect(Number((await kept()).kept)).toBeLessThan(20 << 20);
  });
});

test('while a transaction keeps the slot where it is, it is asked to follow once for what was confirmed, not with each canary', async () => {
  await using database = await throwAwayDatabase();
  await using stream = await CapturedSource.load(database.url, { canaryMs: 200 });
  await using stack = new AsyncDisposableStack();
  const [writer, client] = Array.from({ length: 2 }, () => stack.adopt(new Client({ connectionString: database.url }), (each) => each.end()));
  await Promise.all([writer!.connect(), client!.connect()]);
  const { slot } = sourceNames(stream.pipeline.name);
  const behind = async () => Number((await client!.query<{ behind: string }>('select confirmed_flush_lsn - restart_lsn as behind from pg_replication_slots where slot_name = $1', [slot])).rows[0]!.behind);
  await writer!.query("begin; select pg_logical_emit_message(true, 'test', 'written')");
  await stream.capture(async () => {
    await stream.writeWal(40);
    await stream.insert(1);
    await stream.untilSpooled();
    await until(async () => (stream.lanesFollow(), (await behind()) > 32 << 20), 'it is confirmed, and the slot is kept');
  });
  const query = vi.spyOn(client!, 'query');
  const follower = new SlotFollower(client!, slot);
  for (let times = 0; times < 5; times++) await follower.look();
  expect(query.mock.calls.filter(([text]) => text === 'select pg_log_standby_snapshot()')).toHaveLength(1);
});
