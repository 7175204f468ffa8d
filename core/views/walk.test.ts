import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bigint, count, definePipeline, hopping, postgres, results, table, text, timestamptz, tumbling } from '../define-pipeline.ts';
import { resolve } from '../define/resolve.ts';
import type { Position } from '../position.ts';
import { position } from '../position.ts';
import type { PlainTransaction } from '../segment-builder.ts';
import { SegmentBuilder } from '../segment-builder.ts';
import type { Segment } from '../segment.ts';
import { paneSetsOf } from './pane-sets.ts';
import { Walk } from './walk.ts';
import type { Clocks } from './watermark.ts';
import { noClock } from './watermark.ts';

const pipeline = resolve(
  definePipeline({
    name: 'walk',
    source: postgres({ events: table('events', { id: bigint(), k: text(), at: timestamptz() }, { key: 'id', eventTime: 'at' }) }),
    views: ({ events }) => ({
      short: tumbling('10s', { key: events.k, measures: { n: count() }, top: 1 }),
      long: hopping('1m', { every: '15s', key: events.k, measures: { n: count() }, top: 1 }),
    }),
    sinks: { out: results({ view: 'short', table: 'results.short' }) },
    settings: { watermarkDelayMs: 2_000, allowedLatenessMs: 7_000 },
  }),
  {},
);
const sets = paneSetsOf(pipeline);
const start = Date.UTC(2026, 10, 21, 10);
const begin = position(1, 1n, 0);
const iso = (seconds: number) => new Date(start + seconds * 1000).toISOString();

const streams = fc
  .array(fc.record({ pause: fc.integer({ min: 0, max: 15 }), lags: fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constant('truncate' as const)), { maxLength: 5 }) }), { minLength: 1, maxLength: 12 })
  .map((each) => {
    let now = 0;
    return each.map(({ pause, lags }, index): PlainTransaction => {
      now += pause;
      const events = lags.map((lag, id) => (lag === 'truncate' ? ({ op: 'truncate' } as const) : ({ op: 'insert', row: { id: String(id), k: 'a', at: iso(now - lag) } } as const)));
      return { lsn: BigInt(10 * (index + 1)), commitTimeMs: start + now * 1000, events, ...(events.length === 0 && { canaryMs: start + now * 1000 }) };
    });
  });

function segmentsOf(stream: readonly PlainTransaction[], cut: () => boolean): readonly Segment[] {
  const builder = new SegmentBuilder(pipeline, { epoch: 1, from: begin });
  for (const transaction of stream) {
    builder.transaction(transaction, new Set(transaction.events.map((_, at) => at).filter((at) => at > 0 && cut())));
    if (cut()) builder.cut();
  }
  return builder.cut().segments;
}

/** The steps, with what was folded between two of them added up. */
function told(stream: readonly Segment[], stops: readonly Position[]): { story: string[]; clocks: Clocks } {
  const story: string[] = [];
  let sums = new Map<string, number>();
  const tell = (line: string) => {
    story.push(...[...sums].filter(([, sum]) => sum !== 0).sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, sum]) => `${what} ${sum}`), line);
    sums = new Map();
  };
  let clocks: Clocks = { clock: noClock, loaded: noClock };
  let from = begin;
  for (const to of stops) {
    const steps = new Walk(pipeline, sets).steps(stream, from, to, clocks);
    for (let next = steps.next(); ; next = steps.next()) {
      if (next.done) {
        clocks = next.value;
        break;
      }
      const step = next.value;
      if (step.kind === 'truncate') tell(`truncate at ${step.position}`);
      else if (step.kind === 'crossing') tell(`crossing at ${step.position}: ${step.before.clock} to ${step.after.clock}`);
      else
        step.folds.forEach(({ deltas, aside }, set) => {
          for (const [name, each] of [['in', deltas] as const, ...aside.map(({ reason, position: at, deltas: late }) => [`${reason} at ${at}`, late] as const)]) {
            each.keys.forEach((key, index) => {
              const what = `set ${set} ${name} pane ${each.panes[index]} ${key}`;
              sums.set(what, (sums.get(what) ?? 0) + each.values[0]![index]!);
            });
          }
        });
    }
    from = to;
  }
  tell('end');
  return { story, clocks };
}

describe('walk', () => {
  test('I6, E5: the same steps however the stream is cut and where one stops in it', () => {
    fc.assert(
      fc.property(streams, fc.infiniteStream(fc.boolean()), (stream, choices) => {
        const choice = choices[Symbol.iterator]();
        const flip = () => choice.next().value === true;
        const whole = segmentsOf(stream, () => false);
        const end = whole.at(-1)!.header.to;
        const places = stream.flatMap(({ lsn, events }) => events.map((_, index) => position(1, lsn, index + 1))).filter((place) => place < end && flip());
        expect(told(segmentsOf(stream, flip), [...places, end])).toEqual(told(whole, [end]));
      }),
      { numRuns: 100 },
    );
  });

  test('E13: the clock moves at the end of a transaction, where all of its events are folded, and only if it is complete', () => {
    const stream: PlainTransaction[] = [{ lsn: 10n, commitTimeMs: start + 12_000, events: [12, 1, 2].map((at, id) => ({ op: 'insert', row: { id: String(id), k: 'a', at: iso(at) } })) }];
    const kinds = (segments: readonly Segment[], to: Position) => [...new Walk(pipeline, sets).steps(segments, begin, to, { clock: noClock, loaded: noClock })].map(({ kind }) => kind);
    const cut = segmentsOf(stream, () => true);
    expect(cut).toHaveLength(3);
    expect(kinds(cut.slice(0, 2), cut[1]!.header.to)).toEqual(['fold']);
    expect(kinds(cut, cut[2]!.header.to)).toEqual(['fold', 'crossing']);
  });
});
