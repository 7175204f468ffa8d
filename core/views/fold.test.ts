import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { avg, bigint, count, definePipeline, gt, integer, match, max, min, ne, postgres, results, scaled, sum, table, text, timestamptz, tumbling, uuid } from '../define-pipeline.ts';
import { resolve } from '../define/resolve.ts';
import { origin } from '../position.ts';
import type { PlainEvent, PlainTransaction, TextRow } from '../segment-builder.ts';
import { SegmentBuilder } from '../segment-builder.ts';
import type { Segment } from '../segment.ts';
import { Folder } from './fold.ts';
import { paneSetsOf } from './pane-sets.ts';
import type { PaneDeltas } from './panes.ts';

const pipelineKeyedBy = (keyType: 'interned' | 'uuid' | 'bigint' | 'text') => {
  const key = { interned: text().nullable().interned(), uuid: uuid().nullable(), bigint: bigint().nullable(), text: text().nullable() }[keyType];
  const definition = definePipeline({
    name: 'folding',
    source: postgres({
      events: table('events', { id: bigint(), k: key as ReturnType<typeof text>, kind: text().nullable().interned(), at: timestamptz().nullable(), ms: integer().nullable() }, { key: 'id', eventTime: 'at' }),
    }),
    views: ({ events }) => ({
      v: tumbling('10s', {
        key: events.k,
        where: ne(events.kind, 'skip'),
        measures: { n: count(), score: sum(match(events.kind, { play: 1, click: 0.2 }, 0)), mean: avg(scaled(events.ms, 3)) },
        rankBy: 'score',
        top: 3,
      }),
      w: tumbling('10s', { key: events.k, where: gt(events.ms, 5), measures: { n: count() }, top: 3 }),
      x: tumbling('20s', { key: events.k, measures: { high: max(scaled(events.ms, 3)), low: min(events.ms) }, rankBy: 'high', top: 3 }),
    }),
    sinks: { out: results({ view: 'v', table: 'results.v' }) },
  });
  return resolve(definition, {});
};

const keyTexts = {
  interned: ['a', 'b', 'ü', ''],
  text: ['a', 'b', 'ü', 'a long one, longer than the others by far'],
  bigint: ['1', '-1', '4294967296', '9007199254740993'],
  uuid: ['00000000-0000-0000-0000-000000000001', '00000001-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0001-0000-000000000000'],
};
const times = ['2026-11-21 10:00:09.999999+00', '2026-11-21 10:00:10+00', '1969-12-31 23:59:59.999999+00', '0044-03-15 10:00:00+00 BC', '2026-11-21 10:00:20+00', 'infinity', '-infinity', null, '9999-12-31 23:59:59.999999+00'];
const commitTimeMs = Date.UTC(2026, 10, 21, 10, 0, 30);

type Keys = keyof typeof keyTexts;
const rowOf = (keyType: Keys) =>
  fc.record({
    k: fc.constantFrom(...keyTexts[keyType], null),
    kind: fc.constantFrom('play', 'click', 'pause', 'skip', null),
    at: fc.constantFrom(...times),
    ms: fc.constantFrom('0', '1', '1500', '2147483647', '-7', null),
  });
const events = (keyType: Keys) =>
  fc.array(
    fc.oneof(
      rowOf(keyType).map((row): PlainEvent => ({ op: 'insert', row: { id: '1', ...row } })),
      fc.tuple(rowOf(keyType), rowOf(keyType), fc.boolean()).map(([old, row, moved]): PlainEvent => ({ op: 'update', old: { id: '1', ...old }, row: { id: moved ? '2' : '1', ...row } })),
      rowOf(keyType).map((old): PlainEvent => ({ op: 'delete', old: { id: '1', ...old } })),
    ),
    { maxLength: 8 },
  );
const stream = fc.constantFrom<Keys[]>('interned', 'uuid', 'bigint', 'text').chain((keyType) => fc.record({ keyType: fc.constant(keyType), transactions: fc.array(events(keyType), { minLength: 1, maxLength: 5 }), cuts: fc.infiniteStream(fc.boolean()) }));

function segmentsOf(pipeline: ReturnType<typeof pipelineKeyedBy>, transactions: readonly PlainEvent[][], cut: () => boolean): readonly Segment[] {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: origin });
  transactions.forEach((each, index) => {
    const transaction: PlainTransaction = { lsn: BigInt(index + 1) * 100n, commitTimeMs, events: each };
    builder.transaction(transaction, new Set(each.map((_, at) => at).filter((at) => at > 0 && cut())));
    if (cut()) builder.cut();
  });
  return builder.cut().segments;
}

/** The rules in plain words: sums by pane and key. */
function oracle(rows: readonly { sign: number; row: TextRow }[], counts: (row: TextRow) => boolean): Map<string, number[]> {
  const panes = new Map<string, number[]>();
  for (const { sign, row } of rows) {
    if (row.k === null || row.at === null || row.at!.includes('infinity') || row.at!.startsWith('9999') || !counts(row)) continue;
    const pane = tenSecondsOf(row.at!);
    const sums = panes.get(`${pane} ${row.k}`) ?? [0, 0, 0, 0];
    const score = row.kind === 'play' ? 10 : row.kind === 'click' ? 2 : 0;
    [1, score, Number(row.ms ?? 0), row.ms === null ? 0 : 1].forEach((value, index) => (sums[index]! += sign * value));
    panes.set(`${pane} ${row.k}`, sums);
  }
  return panes;
}
const idesOfMarch = new Date('-000043-03-15T10:00:00Z').getTime();
const tenSecondsOf = (at: string) =>
  ({ '2026-11-21 10:00:09.999999+00': Date.UTC(2026, 10, 21, 10), '2026-11-21 10:00:10+00': Date.UTC(2026, 10, 21, 10, 0, 10), '2026-11-21 10:00:20+00': Date.UTC(2026, 10, 21, 10, 0, 20), '1969-12-31 23:59:59.999999+00': -10_000, '9999-12-31 23:59:59.999999+00': Date.UTC(9999, 11, 31, 23, 59, 50) })[at] ?? idesOfMarch;

function byPane({ panes, keys, values }: PaneDeltas): Map<string, number[]> {
  return new Map(keys.map((key, index) => [`${panes[index]} ${key}`, values.map((each) => each[index]!)]));
}
/** Two parts of a pane of the view x. */
function both(one: number[] | undefined, other: number[]): number[] {
  if (!one) return other;
  const extreme = (place: number, isBeyond: (a: number, b: number) => boolean): number[] => {
    const [mine, others] = [one[place]!, other[place]!];
    if (Number.isNaN(mine) || Number.isNaN(others)) return (Number.isNaN(mine) ? other : one).slice(place, place + 2);
    return mine === others ? [mine, one[place + 1]! + other[place + 1]!] : (isBeyond(mine, others) ? one : other).slice(place, place + 2);
  };
  return [one[0]! + other[0]!, ...extreme(1, (a, b) => a > b), one[3]! + other[3]!, ...extreme(4, (a, b) => a < b)];
}
const signedRows = (all: readonly PlainEvent[]) =>
  all.flatMap((event) => [...('old' in event ? [{ sign: -1, row: event.old }] : []), ...('row' in event ? [{ sign: 1, row: event.row }] : [])]);

describe('fold', () => {
  test('E13, I6: equals a plain fold, wherever segments are cut', () => {
    fc.assert(
      fc.property(stream, ({ keyType, transactions, cuts }) => {
        const pipeline = pipelineKeyedBy(keyType);
        const cutting = cuts[Symbol.iterator]();
        const segments = segmentsOf(pipeline, transactions, () => cutting.next().value === true);
        const folders = paneSetsOf(pipeline).map((set) => new Folder(pipeline.source.events, set, 60_000));
        for (const segment of segments) for (const folder of folders) folder.add(segment, { fromTransaction: 0, toTransaction: segment.transactions.count });
        const [v, w] = folders.map((folder) => folder.take());

        const nonZero = (panes: Map<string, number[]>, width: number) => new Map([...panes].map(([pane, sums]) => [pane, sums.slice(0, width)] as const).filter(([, sums]) => sums.some((value) => value !== 0)));
        const rows = signedRows(transactions.flat());
        expect(byPane(v!.deltas)).toEqual(nonZero(oracle(rows, ({ kind }) => kind !== 'skip' && kind !== null), 4));
        expect(byPane(w!.deltas)).toEqual(nonZero(oracle(rows, ({ ms }) => ms !== null && Number(ms) > 5), 1));

        const future = rows.filter(({ row }) => row.k !== null && row.at?.startsWith('9999') && row.kind !== 'skip' && row.kind !== null);
        const aside = v!.aside.reduce((total, { reason, rows: number }) => (expect(reason).toBe('future'), total + number), 0);
        const net = v!.aside.reduce((total, { deltas }) => total + deltas.values[0]!.reduce((a, b) => a + b, 0), 0);
        expect(net).toBe(future.reduce((total, { sign }) => total + sign, 0));
        expect(aside).toBeLessThanOrEqual(future.length);
      }),
      { numRuns: 150 },
    );
  });

  test('E15, I6: an extreme is of all that came or went, with how many rows have it, wherever segments are cut and however often it is taken', () => {
    fc.assert(
      fc.property(stream, ({ keyType, transactions, cuts }) => {
        const pipeline = pipelineKeyedBy(keyType);
        const set = paneSetsOf(pipeline)[2]!;
        const cutting = cuts[Symbol.iterator]();
        const folder = new Folder(pipeline.source.events, set, Number.POSITIVE_INFINITY);
        const merged = new Map<string, number[]>();
        for (const segment of segmentsOf(pipeline, transactions, () => cutting.next().value === true)) {
          folder.add(segment, { fromTransaction: 0, toTransaction: segment.transactions.count, rebuilding: { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY } });
          if (cutting.next().value === true) continue;
          const { deltas, kept } = folder.take();
          const parts = byPane(deltas);
          // what is kept by transaction is the same
          const keptParts = new Map<string, number[]>();
          for (const each of kept) for (const [at, part] of byPane(each.deltas)) keptParts.set(at, both(keptParts.get(at), part));
          expect(keptParts).toEqual(parts);
          for (const [at, part] of parts) merged.set(at, both(merged.get(at), part));
        }
        for (const [at, part] of byPane(folder.take().deltas)) merged.set(at, both(merged.get(at), part));

        const wanted = new Map<string, Map<number, number>>();
        for (const { sign, row } of signedRows(transactions.flat())) {
          if (row.k === null || row.at === null || row.at!.includes('infinity') || row.ms === null) continue;
          const entry = `${Math.floor(tenSecondsOf(row.at!) / 20_000) * 20_000} ${row.k}`;
          const values = wanted.get(entry) ?? new Map<number, number>();
          values.set(Number(row.ms), (values.get(Number(row.ms)) ?? 0) + sign);
          wanted.set(entry, values);
        }
        const expected = [...wanted].map(([at, values]) => {
          const inputs = [...values.values()].reduce((total, rows) => total + rows, 0);
          const [high, low] = [Math.max(...values.keys()), Math.min(...values.keys())];
          return [at, [inputs, high, values.get(high)!, inputs, low, values.get(low)!]] as const;
        });
        expect(merged).toEqual(new Map(expected));
      }),
      { numRuns: 150 },
    );
  });

  test('views with the same key, filter and pane length share their panes and what their measures have in common', () => {
    const [set, other] = paneSetsOf(pipelineKeyedBy('text'));
    expect(set!.accumulators.map(({ name, kind, scale }) => [name, kind, scale])).toEqual([
      ['count', 'count', 0],
      ['score', 'sum', 1],
      ['mean', 'sum', 3],
      ['mean_count', 'count', 0],
    ]);
    expect(other!.accumulators.map(({ name }) => name)).toEqual(['count']);
    const [, , extremes] = paneSetsOf(pipelineKeyedBy('text'));
    expect(extremes!.accumulators.map(({ name, kind, scale }) => [name, kind, scale])).toEqual([
      ['high_count', 'count', 0],
      ['high', 'max', 3],
      ['high_rows', 'rows', 0],
      ['low_count', 'count', 0],
      ['low', 'min', 0],
      ['low_rows', 'rows', 0],
    ]);
  });

  test('what is computed once for all folds of a batch stays what it is: a row without a value adds nothing, whoever looked before', () => {
    const pipeline = pipelineKeyedBy('text');
    const insert = (ms: string | null): PlainEvent => ({ op: 'insert', row: { id: '1', k: 'a', kind: 'play', at: times[0]!, ms } });
    const [segment] = segmentsOf(pipeline, [[insert('7'), insert(null), insert('2')]], () => false);
    const [sums, , extremes] = paneSetsOf(pipeline).map((set) => {
      const folder = new Folder(pipeline.source.events, set, 60_000);
      return () => {
        folder.add(segment!, { fromTransaction: 0, toTransaction: 1 });
        return folder.take().deltas.values.map(([value]) => value);
      };
    });
    expect(extremes!()).toEqual([2, 7, 1, 2, 2, 1]);
    expect(sums!()).toEqual([3, 30, 9, 2]);
  });

  test('E14: panes that are closed for good go aside as late, by transaction', () => {
    const pipeline = pipelineKeyedBy('text');
    const insert = (at: string): PlainEvent => ({ op: 'insert', row: { id: '1', k: 'a', kind: 'play', at, ms: null } });
    const segments = segmentsOf(pipeline, [[insert(times[0]!), insert(times[1]!), insert(times[0]!)], [insert(times[0]!)]], () => false);
    const folder = new Folder(pipeline.source.events, paneSetsOf(pipeline)[0]!, 60_000);
    folder.add(segments[0]!, { fromTransaction: 0, toTransaction: 2, closedBeforeMs: Date.UTC(2026, 10, 21, 10, 0, 10) });
    const { deltas, aside } = folder.take();
    expect([...deltas.panes]).toEqual([Date.UTC(2026, 10, 21, 10, 0, 10)]);
    expect(aside.map(({ reason, position, rows, deltas: late }) => [reason, position, rows, [...late.values[0]!]])).toEqual([
      ['late', '00000001000000000000006400000000', 2, [2]],
      ['late', '0000000100000000000000c800000000', 1, [1]],
    ]);
  });

  test('a sum beyond 2^53 is refused, not rounded', () => {
    const definition = definePipeline({
      name: 'large',
      source: postgres({ events: table('events', { id: bigint(), at: timestamptz() }, { key: 'id', eventTime: 'at' }) }),
      views: ({ events: columns }) => ({ v: tumbling('10s', { key: columns.id, measures: { total: sum(columns.id) }, top: 1 }) }),
      sinks: { out: results({ view: 'v', table: 'results.v' }) },
    });
    const pipeline = resolve(definition, {});
    const row = { id: '9007199254740991', at: times[0]! };
    const segments = segmentsOf(pipeline, [[{ op: 'insert', row }, { op: 'insert', row }]], () => false);
    const folder = new Folder(pipeline.source.events, paneSetsOf(pipeline)[0]!, 60_000);
    folder.add(segments[0]!, { fromTransaction: 0, toTransaction: 1 });
    expect(() => folder.take()).toThrow(/beyond 2\^53/);
  });
});
