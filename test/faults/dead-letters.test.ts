import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { replayLetter } from '../../activities/replay.ts';
import { withLetter } from '../../connectors/postgres/replayed-letters.ts';
import { beginLoad } from '../../connectors/postgres/shard-state.ts';
import { PoisonError } from '../../connectors/poison-error.ts';
import { ConfigurationError, FenceMoved } from '../../connectors/sink.ts';
import { Tally } from '../../core/dead-letters/tally.ts';
import { until } from '../capture/captured-source.ts';
import { contents, endOf, streamOf, type Intent } from '../sinks/stream.ts';
import { LettersWorld, stoodStill } from './letters-world.ts';

const insert = (device: string, duration = '1000'): Intent => ({ kind: 'insert', slot: 0, row: { content_id: contents[1]!, event_type: 'play', event_ts: '2026-11-21T10:00:00.000Z', duration_ms: duration, device } });
const change = (kind: 'update' | 'delete' | 'truncate', slot: number, device = 'ios'): Intent => ({ kind, slot, row: { ...insert(device, '2000').row } });

/** Sixty rows, of which 7, 23, 24 and 58 are refused. */
const poisonous = [7, 23, 24, 58];
const sixty = () => streamOf(Array.from({ length: 60 }, (_, index) => insert(poisonous.includes(index + 1) ? 'poison' : 'ios')), 4, new Set([6, 22, 41]));
const ids = (rows: readonly Record<string, unknown>[]) => rows.map(({ id }) => Number(id));
const good = Array.from({ length: 60 }, (_, index) => index + 1).filter((id) => !poisonous.includes(id));

describe('poison among good rows', () => {
  let world: LettersWorld;
  const open = async (settings?: Parameters<typeof LettersWorld.open>[0]) => void (world = await LettersWorld.open(settings));
  beforeEach(() => open());
  afterEach(() => world[Symbol.asyncDispose]());

  const replay = async (lane: string, id: number) => {
    const { replay: how } = await world.sink(lane);
    if (how.kind !== 'event') throw new TypeError(`${lane} is rebuilt`);
    return replayLetter(world.state, world.pipeline, how, id);
  };
  const replayAll = async (lane: string) => Promise.all((await world.kept(lane)).map(({ id }) => replay(lane, id)));
  const mend = async (lane: string) => (lane === 'external' ? void (world.external.refuses = false) : void (await world.click('ALTER TABLE engagement_enriched DROP CONSTRAINT known_device')));
  const rowsOf = (lane: string) => (lane === 'external' ? Promise.resolve(world.folded()) : world.enriched());
  const begin = (lane: string) => (lane === 'enriched' ? world.constrain() : Promise.resolve());

  test('E8: a row whose replay lost its letter to a truncate on the way is buried when it has landed', async () => {
    await world.constrain();
    const { segments } = streamOf([insert('poison'), insert('ios'), change('truncate', 0), insert('ios')], 1, new Set());
    expect(await world.apply('enriched', segments.slice(0, 1))).toBe(1);
    await mend('enriched');
    const { replay: how } = await world.sink('enriched');
    const [letter] = await world.kept('enriched');
    if (how.kind !== 'event') throw new TypeError();
    const event: typeof how.event = async (segment, edits, client) => {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
      await world.state.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      await ended;
      await world.apply('enriched', segments.slice(1));
      await how.event(segment, edits, client);
    };
    await expect(replayLetter(world.state, world.pipeline, { ...how, event }, letter!.id)).rejects.toThrow(/not queryable|terminat/);
    expect(await world.kept('enriched')).toEqual([]);
    expect(ids(await world.enriched())).toEqual([3]);
  });

  describe.each(['external', 'enriched'])('%s', (lane) => {
    beforeEach(() => begin(lane));

    test('is kept with its reason, and the rest goes on', async () => {
      expect(await world.apply(lane, sixty().segments)).toBe(4);
      expect(ids(await rowsOf(lane))).toEqual(good);
      const letters = await world.kept(lane);
      expect(letters.map(({ key, op, state }) => [key, op, state])).toEqual(poisonous.map((id) => [String(id), 'insert', 'waiting']));
      expect(letters[0]!.reason).toContain(lane === 'external' ? 'answered 422: device: poison is none of ours' : 'known_device');
      expect(letters[0]!.content).toMatchObject({ after: { id: '7', device: 'poison', duration_ms: '1000', title: 'Title 1 "ü"' } });
    });

    test('comes when it is replayed, once', async () => {
      await world.apply(lane, sixty().segments);
      expect(await replayAll(lane)).toEqual(poisonous.map(() => expect.any(PoisonError)));
      expect((await world.kept(lane)).map(({ state }) => state)).toEqual(poisonous.map(() => 'waiting'));
      await mend(lane);
      expect(await replayAll(lane)).toEqual(poisonous.map(() => 'replayed'));
      expect(await replayAll(lane)).toEqual(poisonous.map(() => 'settled'));
      expect(ids(await rowsOf(lane))).toEqual([...good, ...poisonous].sort((a, b) => a - b));
      if (lane === 'external') {
        const replayed = world.posted.filter(({ id }) => id.includes('_replay_'));
        const letters = await world.kept(lane);
        expect(replayed.map(({ id }) => id).sort()).toEqual(letters.map((letter) => `engagement_external_replay_${letter.position}_0`));
        expect(JSON.parse(replayed[0]!.body)).toEqual([expect.objectContaining({ replay: true, op: 'insert' })]);
        expect(world.posted.filter(({ id }) => !id.includes('_replay_')).some(({ body }) => body.includes('"replay"'))).toBe(false);
      }
    });

    test('that is replayed does not overwrite a newer change of its row, nor bring a deleted one back', async () => {
      const { segments } = streamOf([insert('poison'), insert('poison'), insert('ios'), change('update', 0), change('delete', 1)], 1, new Set());
      expect(await world.apply(lane, segments)).toBe(2);
      const before = await rowsOf(lane);
      expect(before).toMatchObject([{ id: expect.anything(), device: 'ios' }, { device: 'ios' }]);
      expect(before.map(({ duration_ms }) => Number(duration_ms))).toEqual([2000, 1000]);
      await mend(lane);
      expect(await replayAll(lane)).toEqual(['replayed', 'replayed']);
      expect(await rowsOf(lane)).toEqual(before);
    });

    test('E8: from before a truncate is void', async () => {
      const { segments } = streamOf([insert('poison'), insert('ios'), change('truncate', 0), insert('poison')], 1, new Set());
      expect(await world.apply(lane, segments)).toBe(2);
      expect((await world.kept(lane)).map(({ key }) => key)).toEqual(['3']);
      await mend(lane);
      await replayAll(lane);
      expect(ids(await rowsOf(lane))).toEqual([3]);
    });

    test('E8: and a worker that stood still does not bring it back', async () => {
      const { segments } = streamOf([insert('poison'), insert('ios'), change('truncate', 0)], 1, new Set());
      const asleep = stoodStill(world.letters(lane));
      const zombie = world.apply(lane, segments, asleep.letters);
      zombie.catch(() => {}); // seen below
      await asleep.reached;
      expect(await world.apply(lane, segments)).toBe(1);
      asleep.wake();
      await expect(zombie).rejects.toThrow(FenceMoved);
      expect(await world.kept(lane)).toEqual([]);
      expect(await rowsOf(lane)).toEqual([]);
    });

    test('beyond the budget of a segment parks the lane, which goes on from there once it is mended', async () => {
      const segments = () => streamOf(Array.from({ length: 30 }, (_, index) => insert(index >= 12 ? 'poison' : 'ios')), 30, new Set()).segments;
      await expect(world.apply(lane, segments())).rejects.toThrow(ConfigurationError);
      await expect(world.apply(lane, segments())).rejects.toThrow(`Lane ${lane}: its destination refuses more than 10 of the 30 events of a segment for their content (deadLetterRows 10, deadLetterPercent 1; the last one has the key 23), so the fault is hardly in single rows. See the reasons with ./sluice dlq list engagement --lane ${lane}, mend what refuses them, type ./sluice resume engagement --lane ${lane}, and then ./sluice dlq replay engagement.`);
      expect(await world.kept(lane)).toHaveLength(10);
      await mend(lane);
      expect(await world.apply(lane, segments())).toBe(0);
      await replayAll(lane);
      expect(await rowsOf(lane)).toHaveLength(30);
    });
  });

  test('E28: a new load will have what the letters speak of: they are gone when it begins, after the replay that goes on', async () => {
    await world.apply('external', sixty().segments);
    const [letter] = await world.kept('external');
    const [held, replayed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const order: unknown[] = [];
    const replaying = withLetter(world.state, letter!.id, () => (held.resolve(), replayed.promise)).then((outcome) => order.push(outcome));
    await held.promise;
    const beginning = beginLoad(world.state, 'engagement', 'slot', { hash: 'hash', json: '{}' }, 1).then(() => order.push('load'));
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like 'delete from sluice.dead_letter%'`;
    await until(async () => (await world.rows(waits)).length > 0, 'the load waits for the letter');
    replayed.resolve();
    await Promise.all([replaying, beginning]);
    expect(order).toEqual(['replayed', 'load']);
    expect(await world.kept('external')).toEqual([]);
  });

  test('a trickle in which everything is refused parks the lane too, though no segment has ten events', async () => {
    const { segments } = streamOf(Array.from({ length: 60 }, (_, index) => insert(index < 6 ? 'ios' : 'poison')), 1, new Set());
    const tally = new Tally();
    const each = async () => {
      // a step for each: they follow each other faster than rows are isolated
      for (const segment of segments) await world.apply('external', [segment], world.letters('external', tally));
    };
    await expect(each()).rejects.toThrow('Lane external: its destination refuses more than 10 of its last 19 events at most for their content');
    expect(await world.kept('external')).toHaveLength(10);
    expect(ids(world.folded())).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('beyond what a pipeline keeps parks the lane; what is settled makes room', async () => {
    await world[Symbol.asyncDispose]();
    await open({ deadLettersKept: 3 });
    await expect(world.apply('external', sixty().segments)).rejects.toThrow('Lane external: its destination refuses the event with the key 58 for its content, and engagement keeps 3 dead letters already (deadLettersKept 3)');
    await world.state.query("update sluice.dead_letter set state = 'dropped', settled_at = now() where key = '7'");
    expect(await world.apply('external', sixty().segments)).toBe(1);
    expect((await world.kept('external')).map(({ key }) => key)).toEqual(['23', '24', '58']);
  });

  test.each([
    ['an enum', "Enum8('ios' = 1, 'android' = 2)", 'ios', 'poison'],
    ['a number', 'UInt8', '7', 'seven'],
    ['a day', 'Date', '2026-11-21', '21.11.'],
    ['an instant', 'DateTime', '2026-11-21 10:00:00', 'now'],
    ['a uuid', 'UUID', '01234567-89ab-cdef-0123-456789abcdef', 'me'],
    ['an address', 'IPv4', '10.0.0.1', '10.0.0.256'],
    ['a decimal', 'Decimal32(2)', '1.25', '12345678901.5'],
    ['a text of one length', 'FixedString(4)', 'four', 'eleven'],
  ])('ClickHouse: a value that is none of %s, to which somebody has changed the column', async (_, type, fits, poison) => {
    await world.sink('enriched');
    await world.click('ALTER TABLE engagement_enriched DROP COLUMN device');
    await world.click(`ALTER TABLE engagement_enriched ADD COLUMN device ${type}`);
    const { segments } = streamOf([insert(fits), insert(poison), insert(fits)], 3, new Set());
    expect(await world.apply('enriched', segments)).toBe(1);
    expect((await world.kept('enriched')).map(({ key }) => key)).toEqual(['2']);
    expect(ids(await world.enriched())).toEqual([1, 3]);
  });

  test('a destination that lost what was replayed into it meets the event again, and the letter waits again', async () => {
    const { segments } = sixty();
    await world.apply('external', segments);
    world.external.refuses = false;
    await replayAll('external');
    world.external.refuses = true;
    const { sink } = await world.sink('external');
    await world.state.query("update sluice.fence set position = $1 where lane = 'external'", [(await world.kept('external'))[1]!.position.replace(/.$/, '0')]);
    await world.apply('external', segments);
    expect((await world.kept('external')).map(({ state }) => state)).toEqual(['replayed', 'waiting', 'waiting', 'waiting']);
    expect(await sink.readFence()).toBe(endOf(segments));
  });
});
