import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import engagement from '../pipelines/engagement.ts';
import { beforeColumns } from './define/before-columns.ts';
import { definitionHash, loadedDefinition, recordedDefinition, recordedPipeline, viewsHash, type LastingDefinition } from './define/definition-hash.ts';
import { resolve } from './define/resolve.ts';
import type { Pipeline, View } from './pipeline.ts';
import { planRedefinition, setsAfter } from './redefine-plan.ts';
import { complete, losesText, type RedefinePlan } from './redefine.ts';
import { bucketsOf, isOfBuckets } from './views/buckets.ts';
import { paneSetsOf } from './views/pane-sets.ts';

const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
const { top10m, leaderboard } = pipeline.views as { top10m: View; leaderboard: View };
const { enriched } = pipeline.sinks;

/** As it is put on record and read again. */
const lasting = (each: Pipeline) => JSON.parse(loadedDefinition(each).json) as LastingDefinition;
const withViews = (views: Pipeline['views'], from = pipeline): Pipeline => ({ ...from, views: { ...from.views, ...views } });
const withSinks = (sinks: Pipeline['sinks'], from = pipeline): Pipeline => ({ ...from, sinks: { ...from.sinks, ...sinks } });
const without = <T>(all: Readonly<Record<string, T>>, ...names: readonly string[]) => Object.fromEntries(Object.entries(all).filter(([name]) => !names.includes(name)));
const withoutSinks = (...names: readonly string[]): Pipeline => ({ ...pipeline, sinks: without(pipeline.sinks, ...names) });
const withResults = (table = 'board', from = pipeline) => withSinks({ table: { kind: 'postgres-results', view: 'leaderboard', table } }, from);

const nothing: RedefinePlan = { impossible: [], loses: [], says: [], ended: [], drops: {}, recreated: [], loads: [], lives: [], fills: [], again: [], emptied: [], freshSets: [], droppedSets: [] };
const text = expect.any(String) as string;

/** Named by what the user changes. `says` and `loses` by how many there are. */
const cases: readonly (readonly [name: string, before: Pipeline, after: Pipeline, plan: Partial<RedefinePlan>])[] = [
  ['nothing', pipeline, pipeline, {}],
  ['settings', pipeline, { ...pipeline, settings: { ...pipeline.settings, lingerMs: 7, allowedLatenessMs: 1 } }, {}],
  ['how long a sink gathers, and where it posts to', pipeline, withSinks({ enriched: { ...enriched!, gatherMs: 1 } as never, external: { ...pipeline.sinks['external']!, url: 'http://elsewhere/' } as never }), {}],
  ['a table of rows is added', pipeline, withSinks({ copy: { ...enriched!, table: 'copy' } as never }), { loads: ['copy'], says: [text] }],
  ['a receiver is added', pipeline, withSinks({ other: pipeline.sinks['external']! }), { loads: ['other'], says: [text] }],
  ['a table of results is added', pipeline, withResults(), { again: ['leaderboard'], says: [text] }],
  ['a rolling view is published', pipeline, withSinks({ newest: { kind: 'redis-results', view: 'top10m', key: 'newest' } }), { again: ['top10m'], says: [text] }],
  ['a live structure is added', pipeline, withSinks({ mini: { kind: 'redis-live', view: 'top10m', key: 'mini', hash: {}, gatherMs: 0 } }), { lives: ['mini'], says: [text] }],
  ['a sink is removed', pipeline, withoutSinks('enriched'), { ended: ['enriched'], drops: { enriched: { kind: 'clickhouse', table: 'engagement_enriched' } }, loses: [text] }],
  ['a receiver is removed', pipeline, withoutSinks('external'), { ended: ['external'], loses: [text] }],
  ['another sink writes there from now on', pipeline, { ...withoutSinks('enriched'), sinks: { ...without(pipeline.sinks, 'enriched'), rows: enriched! } }, { ended: ['enriched'], loads: ['rows'], says: [text], loses: [text] }],
  ['a view of other panes is added', pipeline, withViews({ devices: { ...leaderboard, key: 'device', labels: {} } }), { fills: ['devices'], freshSets: ['devices'], says: [text] }],
  ['a view of the same panes is added', pipeline, withViews({ hourly: { ...leaderboard, window: { kind: 'hopping', sizeMs: 3_600_000, everyMs: 10_000 } } }), { again: ['hourly'], says: [text] }],
  ['a view is added that would share panes, and needs more of them', pipeline, withViews({ seen: { ...leaderboard, measures: { seen: { kind: 'count' } }, rank: { by: 'seen', top: 3 } } }), { fills: ['seen'], freshSets: ['seen'], says: [text] }],
  ['a view is removed, whose panes another shares', pipeline, { ...withoutSinks('live'), views: without(pipeline.views, 'top10m') }, { emptied: ['top10m'], ended: ['live'], drops: { live: { kind: 'redis', key: 'top_engagement:10min', keys: expect.any(Object) as never } }, loses: [text, text] }],
  ['a view is removed, and its panes with it', withViews({ devices: { ...leaderboard, key: 'device', labels: {} } }), pipeline, { emptied: ['devices'], droppedSets: ['devices'], loses: [text] }],
  ['how many ranks', pipeline, withViews({ leaderboard: { ...leaderboard, rank: { ...leaderboard.rank, top: 20 } } }), { again: ['leaderboard'], says: [text] }],
  ['labels', withResults(), withViews({ leaderboard: { ...leaderboard, labels: {} } }, withResults()), { again: ['leaderboard'], ended: ['table'], recreated: ['board'], says: [text], loses: [text] }],
  ['ranks of a table of results', withResults(), withViews({ leaderboard: { ...leaderboard, rank: { ...leaderboard.rank, top: 3 } } }, withResults()), { again: ['leaderboard'], says: [text] }],
  ['which events a view counts', pipeline, withViews({ leaderboard: { ...leaderboard, where: { op: 'isNull', of: { op: 'column', table: 'events', column: 'device', type: 'text' }, type: 'bool' } as never } }), { fills: ['leaderboard'], freshSets: ['leaderboard'], emptied: ['leaderboard'], loses: [text] }],
  ['by what a live view counts', pipeline, withViews({ top10m: { ...top10m, key: 'user_id' } }), { fills: ['top10m'], freshSets: ['top10m_2'], emptied: ['top10m'], lives: ['live'], loses: [text] }],
  ['what a live structure shows', pipeline, withSinks({ live: { ...pipeline.sinks['live']!, hash: { plays: 'plays' } } as never }), { lives: ['live'], says: [text] }],
  ['where a live structure is', pipeline, withSinks({ live: { ...pipeline.sinks['live']!, key: 'other' } as never }), { lives: ['live'], ended: ['live'], drops: { live: { kind: 'redis', key: 'top_engagement:10min', keys: expect.any(Object) as never } }, loses: [text] }],
  ['where rows are', pipeline, withSinks({ enriched: { ...enriched!, table: 'elsewhere' } as never }), { loads: ['enriched'], ended: ['enriched'], drops: { enriched: { kind: 'clickhouse', table: 'engagement_enriched' } }, loses: [text] }],
  ['how rows are sorted', pipeline, withSinks({ enriched: { ...enriched!, orderBy: ['id', 'event_ts'] } as never }), { impossible: [expect.stringContaining('give the sink another table') as string] }],
  ['the event time', pipeline, { ...pipeline, source: { ...pipeline.source, events: { ...pipeline.source.events, eventTime: 'id' } } }, { impossible: ['source.events.eventTime is "id", and was "event_ts"'] }],
  ['the table', pipeline, { ...pipeline, source: { ...pipeline.source, events: { ...pipeline.source.events, relation: 'public.other' } } }, { impossible: ['source.events.relation is "public.other", and was "public.engagement_events"'] }],
  ['an enriched column', pipeline, { ...pipeline, row: without(pipeline.row, 'title') }, { impossible: ['columns.title is gone'] }],
];

describe('what a change of a definition takes', () => {
  test.each(cases)('%s', (_, before, after, plan) => {
    expect(planRedefinition(lasting(before), lasting(after))).toEqual({ ...nothing, ...plan });
  });

  test('what is lost is told, with what allows it', () => {
    const plan = planRedefinition(lasting(pipeline), lasting(withoutSinks('enriched')));
    expect(losesText('engagement', plan)).toBe(
      [
        'engagement can be changed in place, and something would be lost:',
        '  LOSES: sink enriched ends: table engagement_enriched in ClickHouse is dropped',
        './sluice apply engagement --allow does so; with --keep-results what was written to destinations that end stays there. Or put pipelines/engagement.ts back.',
      ].join('\n'),
    );
  });
});

describe('panes of a pipeline that changes', () => {
  const kind = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
  const duration = { op: 'column', table: 'events', column: 'duration_ms', type: 'int' } as never;
  const candidates: Readonly<Record<string, View>> = {
    a: top10m,
    b: leaderboard,
    c: { ...leaderboard, key: 'device', labels: {} },
    d: { ...leaderboard, measures: { seen: { kind: 'count' } }, rank: { by: 'seen', top: 3 } },
    e: { ...top10m, measures: { seconds: top10m.measures['seconds']! }, rank: { by: 'seconds', top: 3 } },
    f: { ...leaderboard, window: { kind: 'tumbling', sizeMs: 60_000, everyMs: 60_000 } },
    g: { ...top10m, measures: { ...top10m.measures, longest: { kind: 'max', of: duration, scale: 0 }, shortest: { kind: 'min', of: duration, scale: 0 } } },
    h: { ...top10m, measures: { longest: { kind: 'max', of: duration, scale: 0 } }, rank: { by: 'longest', top: 3 } },
    i: { ...top10m, measures: { ...top10m.measures, p99: { kind: 'quantile', of: duration, scale: 0, q: 0.99 } } },
    j: { ...top10m, measures: { median: { kind: 'quantile', of: duration, scale: 0, q: 0.5 } }, rank: { by: 'median', top: 3 } },
    l: { ...top10m, measures: { devices: { kind: 'distinct', of: { op: 'column', table: 'events', column: 'device', type: 'text' } } }, rank: { by: 'devices', top: 3 } },
  };
  const step = fc.dictionary(fc.constantFrom('x', 'y', 'z', 'x_2'), kind, { maxKeys: 4 });

  test('whatever it was and becomes: sets that stay are the same table, a name is one table, and each view has all that it needs', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 6 }), (steps) => {
        let now: Pipeline = { ...pipeline, views: {}, sinks: {} };
        for (const wanted of steps) {
          const views = Object.fromEntries(Object.entries(wanted).map(([name, which]) => [name, candidates[which]!]));
          const was = paneSetsOf(now);
          const { kept, fresh, dropped } = setsAfter(now, { views });
          const { paneSets: _, ...rest } = now;
          const next: Pipeline = { ...rest, views, ...(kept ? { paneSets: kept } : {}) };
          const sets = paneSetsOf(next);
          expect(new Set(sets.map(({ name }) => name)).size).toBe(sets.length);
          for (const set of sets) {
            const before = was.find(({ name }) => name === set.name);
            if (fresh.some(({ name }) => name === set.name)) expect(before === undefined || dropped.includes(set.name)).toBe(true);
            else expect(set.accumulators).toEqual(before!.accumulators);
          }
          const found = sets.flatMap((set) => set.views.map((view) => [view.name, set] as const));
          expect(found.map(([name]) => name).toSorted()).toEqual(Object.keys(views).toSorted());
          for (const [name, set] of found) {
            expect([set.key, set.paneMs]).toEqual([views[name]!.key, views[name]!.window.everyMs]);
            expect(Object.values(views[name]!.measures).map(bucketsOf)).toContainEqual(set.buckets);
            for (const { measure, accumulators } of Object.values(set.views.find((view) => view.name === name)!.measures)) {
              const [main, ...others] = accumulators.map((place) => set.accumulators[place]!);
              expect(main!.kind).toBe(measure.kind === 'avg' ? 'sum' : isOfBuckets(measure) ? 'count' : measure.kind);
              if (measure.kind === 'max' || measure.kind === 'min') expect([main, others]).toMatchObject([{ rows: accumulators[1], inputs: accumulators[2] }, [{ kind: 'rows', extreme: accumulators[0] }, { kind: 'count' }]]);
            }
          }
          // and on record it is the same
          const recorded = recordedPipeline(lasting(next), next);
          expect([definitionHash(recorded), viewsHash(recorded)]).toEqual([definitionHash(next), viewsHash(next)]);
          now = next;
        }
      }),
    );
  });

  test('a view that goes leaves its panes to those that share them, with all that they count and read', () => {
    const after = { ...withoutSinks('live'), views: { leaderboard } };
    const { kept, fresh, dropped } = setsAfter(pipeline, after);
    expect([fresh, dropped]).toEqual([[], []]);
    expect(kept).toMatchObject([{ name: 'top10m', views: ['leaderboard'] }]);
    const [before, now] = [paneSetsOf(pipeline)[0]!, paneSetsOf({ ...after, paneSets: kept! })[0]!];
    expect(now.accumulators).toEqual(before.accumulators);
    expect(now.views[0]!.measures).toEqual(before.views[1]!.measures);
    expect(beforeColumns(after)).not.toContain('duration_ms');
    expect(beforeColumns({ ...after, paneSets: kept! })).toContain('duration_ms');
    // what is equal to those that the definition alone has is not kept
    expect(setsAfter({ ...after, paneSets: kept! }, pipeline).kept).toBeUndefined();
  });

  test('the hash of a definition is not that of its panes, by which an aggregate lane is told', () => {
    const after = { ...pipeline, views: { leaderboard }, sinks: {} };
    const kept = setsAfter(pipeline, after).kept!;
    expect(definitionHash({ ...after, paneSets: kept })).toBe(definitionHash(after));
    expect(viewsHash({ ...after, paneSets: kept })).not.toBe(viewsHash(after));
  });
});

test('what is on record is the pipeline again; what is not, as an address, is that of the definition of now', () => {
  const record = lasting(pipeline);
  const now = { ...pipeline, settings: { ...pipeline.settings, lingerMs: 7 } };
  expect(recordedPipeline(record, now)).toEqual({ ...now, views: recordedDefinition(record).views });
  const { external } = recordedPipeline(record, withoutSinks('external')).sinks;
  expect(external).toMatchObject({ kind: 'http', secret: 'not on record' });
  const literal = { ...pipeline, row: { ...pipeline.row, big: { op: 'literal', value: 2n ** 60n, type: 'int' } as never } };
  expect(recordedPipeline(lasting(literal), literal).row['big']).toEqual(literal.row['big']);
});

test('what is not complete is left out with all that is made of it', () => {
  const { views, sinks } = complete(pipeline, { lanes: ['enriched'], views: ['top10m'] });
  expect([Object.keys(views), Object.keys(sinks)]).toEqual([['leaderboard'], ['leaderboard', 'external']]);
  expect(complete(pipeline, { lanes: [], views: [] })).toBe(pipeline);
  expect(paneSetsOf(complete(pipeline, { lanes: [], views: ['top10m'] }))[0]!.accumulators).toEqual(paneSetsOf(pipeline)[0]!.accumulators);
});
