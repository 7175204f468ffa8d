import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendClaim } from '../../connectors/postgres/claim.ts';
import { readTimeline } from '../../connectors/postgres/postgres-source.ts';
import { assertNoPhantoms } from '../../connectors/postgres/same-stream.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Position } from '../../core/position.ts';
import { parseLsn, position } from '../../core/position.ts';
import { CapturedSource, until } from './captured-source.ts';
import { OwnServer } from './own-server.ts';

/** The servers of a test have no standby, so this one is its own: it is stopped, made a standby, and promoted. */
async function promote(server: OwnServer): Promise<void> {
  await server.stop();
  await writeFile(join(server.data, 'standby.signal'), '');
  await server.start();
  await server.query('select pg_promote()');
}

describe('E1: a source that was promoted', () => {
  let server: OwnServer;

  let stream: CapturedSource;

  beforeAll(async () => {
    server = await OwnServer.make(80);
    await server.start();
    stream = await CapturedSource.load(server.url, { canaryMs: 200 });
    await stream.capture(async () => {
      await stream.insert(3);
      await stream.untilSpooled();
    });
    await promote(server);
  }, 60_000);

  afterAll(async () => {
    await stream?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  test('goes on where everything taken is in its timeline, and is refused where it is not', async () => {
    const { lsn } = await server.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    const after = position(1, parseLsn(lsn), 0);
    const refusal = async (claimed: number | undefined, tail: Position) => {
      const present = await readTimeline(server.url, claimed, 'test');
      expect(present.timeline).toBe(2);
      try {
        assertNoPhantoms('engagement', claimed, present, tail);
        return undefined;
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigurationError);
        return String(error);
      }
    };
    expect(await refusal(1, position(1, 1n, 0))).toBeUndefined();
    expect(await refusal(2, after)).toBeUndefined();
    expect(await refusal(undefined, after)).toBeUndefined();
    expect(await refusal(1, after)).toMatch(/was promoted: its timeline 2 left timeline 1 at [0-9A-F]+\/[0-9A-F]+, and changes up to/);
    expect(await refusal(7, after)).toMatch(/on timeline 2, which does not come from timeline 7/);
  });

  test('a load that began behind the switch goes on, though the spool is still of the old timeline', async () => {
    expect((await stream.log.lastClaim())!.claim).toMatchObject({ timeline: 1, epoch: 1 });
    await stream.loadAnew();
    await stream.capture(async () => {
      await stream.insert(3);
      await stream.untilSpooled();
    });
    expect((await stream.log.lastClaim())!.claim).toMatchObject({ timeline: 2, epoch: 2 });
  });

  test.each([
    ['in WAL that the source never wrote: it was set back', (epoch: number) => position(epoch, 1n << 50n, 0), ConfigurationError, /was set back: its WAL ends at/],
    ['in a later load: another capture finds out', (epoch: number) => position(epoch + 1, 1n, 0), TransientError, /of a later load than the one that is read/],
  ])('a sink that was silent at first, and is %s', async (_, where, kind, what) => {
    const { fence } = stream;
    const refused: unknown = await stream.capture(async () => {
      await stream.untilSpooled();
      stream.fence = where(stream.shard.epoch);
      await new Promise(() => {});
    }).catch((error: unknown) => error);
    stream.fence = fence;
    expect(refused).toBeInstanceOf(kind);
    expect(String(refused)).toMatch(what);
  });
});

test('E1: a source that was promoted while what follows is kept undecided goes on, by whom that is kept and who reads it then', async () => {
  await using server = await OwnServer.make(90);
  await server.start();
  await using stream = await CapturedSource.load(server.url, { canaryMs: 200 });
  await stream.capture(async () => {
    await stream.insert(3);
    await stream.untilSpooled();
  });
  await promote(server);
  await stream.reconnect();
  const isKept = async () => {
    const seq = (await stream.undecided.lastEvents())?.seq ?? -1;
    await until(async () => ((await stream.undecided.lastEvents())?.seq ?? -1) > seq, 'more is kept');
  };
  // the spool's claim is of the timeline before
  for (let step = 0; step < 2; step++) expect(await stream.spoolUndecided(isKept)).toBe('stopped');
  expect((await stream.log.lastClaim())!.claim!.timeline).toBe(1);
  expect((await stream.undecided.lastClaim())!.claim!.timeline).toBe(2);
  expect(await stream.capture(async () => {
    await stream.insert(3);
    await stream.untilSpooled();
  })).toMatchObject({ reason: 'stopped', events: 3 });
  // whoever still keeps what the old one writes
  const kept = (await stream.undecided.tail())!;
  await appendClaim(stream.undecided, { captureId: 'other', claim: { ...kept.claim!, timeline: 1 }, start: kept.to, after: kept, firstSeq: 1 });
  await expect(stream.capture()).rejects.toThrow(/was promoted: its timeline 2 left timeline 1 at/);
}, 120_000);
