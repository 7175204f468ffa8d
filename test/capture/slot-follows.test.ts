import { expect, test } from 'vitest';
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
      const lanesFollow = () => (stream.fence = stream.progress!.position);
      await until(async () => (lanesFollow(), BigInt((await kept()).confirmed) - BigInt(confirmed) > 40 << 20), 'it is confirmed');
      await until(async () => (lanesFollow(), Number((await kept()).kept) < 20 << 20), 'the slot has followed', 6_000);
    }
    expect(Number((await kept()).kept)).toBeLessThan(20 << 20);
  });
});
