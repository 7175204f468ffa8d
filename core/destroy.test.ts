import { describe, expect, test } from 'vitest';
import engagement from '../pipelines/engagement.ts';
import trending from '../pipelines/trending.ts';
import { definitionJson, lastingDefinition, type LastingDefinition, type LastingSink } from './define/definition-hash.ts';
import { resolve } from './define/resolve.ts';
import { destroyedText, hasNothing, placesOf, planText, usedBy, type DestroyPlan, type DestroyStatus, type Item, type Place } from './destroy.ts';

const environment = { SLUICE_EXTERNAL_URL: 'http://a/', SLUICE_EXTERNAL_SECRET: 'whsec_x' };
/** As it comes from the record. */
const recorded = (pipeline: typeof engagement) => JSON.parse(definitionJson(lastingDefinition(resolve(pipeline, environment)))) as LastingDefinition;
const [first, second] = [recorded(engagement), recorded(trending)];

describe('what a definition writes to', () => {
  test('is a place for each sink, and none for a receiver', () => {
    expect(placesOf(first)).toEqual({
      enriched: { kind: 'clickhouse', table: 'engagement_enriched' },
      live: { kind: 'redis', key: 'top_engagement:10min', keys: { names: expect.arrayContaining(['top_engagement:10min', '{top_engagement:10min}:fence']) as string[], families: ['{top_engagement:10min}:pane:', '{top_engagement:10min}:content:'] } },
      leaderboard: { kind: 'redis', key: 'leaderboard', keys: { names: ['leaderboard', '{leaderboard}:fence', '{leaderboard}:evicted', '{leaderboard}:window', '{leaderboard}:labels'], families: [] } },
    });
    expect(placesOf(second)).toMatchObject({ posts: { kind: 'results', table: 'results.trending_posts' }, dashboard: { kind: 'redis', key: 'trending:top' } });
  });

  test('a results table without a schema is in results', () => {
    expect(placesOf(withSink({ kind: 'postgres-results', view: 'trending', table: 'posts' }))).toEqual({ other: { kind: 'results', table: 'results.posts' } });
  });
});

function withSink(sink: LastingSink): LastingDefinition {
  return { ...second, sinks: { other: sink } };
}

const clickhouse = (table: string): LastingSink => ({ kind: 'clickhouse', table, orderBy: [], partitionBy: '' });

test.each<[string, LastingSink, LastingSink, boolean]>([
  ['the same table in ClickHouse', clickhouse('rows'), clickhouse('rows'), true],
  ['perhaps the same, as one does not name its database', clickhouse('rows'), clickhouse('app.rows'), true],
  ['of other databases', clickhouse('a.rows'), clickhouse('b.rows'), false],
  ['another table', clickhouse('rows'), clickhouse('rows2'), false],
  ['a table of that name elsewhere', clickhouse('results.rows'), { kind: 'postgres-results', view: 'trending', table: 'rows' }, false],
  ['the same results', { kind: 'postgres-results', view: 'trending', table: 'rows' }, { kind: 'postgres-results', view: 'trending', table: 'results.rows' }, true],
  ['the same key', { kind: 'redis-results', view: 'trending', key: 'k' }, { kind: 'redis-live', view: 'trending', key: '{k}', hash: {} }, true],
  ['another key', { kind: 'redis-results', view: 'trending', key: 'k' }, { kind: 'redis-live', view: 'trending', key: 'k2', hash: {} }, false],
  ['a receiver', clickhouse('rows'), { kind: 'http' }, false],
])('what another pipeline writes to stays: %s', (_, ours, theirs, stays) => {
  const place: Place = placesOf(withSink(ours))['other']!;
  expect(usedBy(place, [second, { ...withSink(theirs), name: 'another' }])).toBe(stays ? 'another' : undefined);
});

const item = (what: string, more: Partial<Item> = {}): Item => ({ drop: { kind: 'slot' }, what, isThere: true, byHand: 'by hand', ...more });
const plan = (items: readonly Item[], more: Partial<DestroyPlan> = {}): DestroyPlan => ({ workflows: [], items, untouched: ['the tables of the source (public.t)'], destroyedAt: null, ...more });

describe('what is shown', () => {
  test('what is there, what may be, and what stays with its reason', () => {
    expect(planText('p', plan([item('slot'), item('publication', { isThere: false }), item('rows', { isThere: null }), item('keys', { stays: 'pipeline q writes there too' })], { workflows: ['pipeline/p', 'repair/p'] }))).toBe(
      ['To destroy p is to drop:', '  slot', '  rows (it could not be looked at)', 'and before that to end pipeline/p, repair/p.', 'These stay:', '  keys: pipeline q writes there too', '  the tables of the source (public.t)'].join('\n'),
    );
  });

  test.each<[string, DestroyPlan, boolean]>([
    ['nothing is there', plan([item('slot', { isThere: false })]), true],
    ['only what stays', plan([item('keys', { stays: 'it is to be kept' })]), true],
    ['a workflow runs', plan([], { workflows: ['pipeline/p'] }), false],
    ['something may be there', plan([item('rows', { isThere: null })]), false],
    ['something is', plan([item('slot')]), false],
  ])('%s', (_, given, nothing) => {
    expect(hasNothing(given)).toBe(nothing);
  });

  test('that there is nothing, and since when', () => {
    expect(planText('p', plan([], { destroyedAt: '2026-11-01T00:00:00.000Z' }))).toBe('There is nothing of p to drop: it was destroyed at 2026-11-01T00:00:00.000Z.');
  });

  const status = (more: Partial<DestroyStatus>): DestroyStatus => ({ pipeline: 'p', keepResults: false, state: 'done', plan: plan([]), phase: '', dropped: ['slot'], left: [], error: null, ...more });

  test.each<[string, DestroyStatus, RegExp]>([
    ['at its end', status({}), /^Dropped:\n {2}slot\nNot touched:\n {2}the tables of the source \(public\.t\)\np is destroyed\. \.\/sluice apply p makes it from nothing; so does the next \.\/sluice up, as long as pipelines\/index\.ts lists it\.$/],
    ['with something left', status({ state: 'partly', left: [{ what: 'keys', why: 'it cannot be reached', byHand: 'UNLINK k' }] }), /LEFT:\n {2}keys: it cannot be reached\n {4}by hand: UNLINK k\n.*type \.\/sluice destroy p again/s],
    ['cancelled', status({ state: 'cancelled' }), /may not begin again until \.\/sluice destroy p has come to its end\.$/],
    ['failed', status({ state: 'failed', dropped: [], plan: null, error: 'There is no pipeline p.' }), /^There is no pipeline p\.$/],
  ])('what was done: %s', (_, given, text) => {
    expect(destroyedText(given)).toMatch(text);
  });
});
