import { expect, test } from 'vitest';
import { throwAwayDatabase } from '../embedded/services.ts';
import { CapturedSource, until } from './captured-source.ts';

test('E13: a stream that has been quiet for minutes gets one canary in five, and all again from its next event on', async () => {
  await using database = await throwAwayDatabase();
  await using stream = await CapturedSource.load(database.url, { canaryMs: 50 });
  const canaries = async (count: number) => {
    const startedAt = performance.now();
    const wanted = stream.canaries + count;
    await until(() => stream.canaries >= wanted, `${count} canaries`);
    return performance.now() - startedAt;
  };
  stream.lastEventMs = performance.now() - 600_000;
  await stream.capture(async () => {
    await canaries(1);
    const quietMs = await canaries(2);
    expect(quietMs).toBeGreaterThan(2 * 4 * 50);
    await stream.insert(1);
    await stream.untilSpooled();
    await canaries(1);
    // of a quiet stream they would take five times as long
    expect(await canaries(10)).toBeLessThan(3 * quietMs);
    await until(() => performance.now() - stream.progress!.lastEventMs < 20_000, 'the next capture will know');
  });
});
