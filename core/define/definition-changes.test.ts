import { describe, expect, test } from 'vitest';
import engagement from '../../pipelines/engagement.ts';
import trending from '../../pipelines/trending.ts';
import type { Shape } from '../migration/shape.ts';
import type { Pipeline, Text } from '../pipeline.ts';
import { definitionChanges } from './definition-changes.ts';
import { definitionHash, definitionJson, lastingDefinition, writtenDefinition, writtenLasting } from './definition-hash.ts';
import { resolve } from './resolve.ts';

const written = (pipeline: Pipeline<Text>) => JSON.parse(writtenDefinition(pipeline)) as unknown;
const view = trending.views['trending']!;

describe('how a definition differs', () => {
  test('not from itself, also as it was put on record', () => {
    expect(definitionChanges(written(engagement), written(engagement))).toEqual([]);
    const resolved = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://a/', SLUICE_EXTERNAL_SECRET: 'whsec_x' });
    const record = JSON.parse(definitionJson(lastingDefinition(resolved))) as unknown;
    expect(definitionChanges(record, JSON.parse(definitionJson(lastingDefinition(resolved))))).toEqual([]);
  });

  test.each<[string, Pipeline<Text>, readonly string[]]>([
    ['a setting', { ...trending, settings: { ...trending.settings, lingerMs: 7 } }, ['settings.lingerMs is 7, and was 50']],
    ['a sink more, and one less', { ...trending, sinks: { posts: trending.sinks['posts']!, other: { kind: 'redis-results', view: 'trending', key: 'k' } } }, ['sinks.dashboard is gone', 'sinks.other is new']],
    ['a table', { ...trending, sinks: { ...trending.sinks, posts: { kind: 'postgres-results', view: 'trending', table: 'other' } } }, ['sinks.posts.table is "other", and was "results.trending_posts"']],
    ['a view', { ...trending, views: { trending: { ...view, rank: { ...view.rank, top: 3 }, window: { kind: 'tumbling', sizeMs: 20_000, everyMs: 20_000 } } } }, ['views.trending.window.sizeMs is 20000, and was 10000', 'views.trending.window.everyMs is 20000, and was 10000', 'views.trending.rank.top is 3, and was 10']],
    ['an expression, which is not taken apart', { ...trending, row: { ...trending.row, post_id: { op: 'literal', type: 'int', value: 5n } as never } }, ['columns.post_id has changed']],
    ['a column of the source', { ...trending, source: { ...trending.source, events: { ...trending.source.events, columns: { ...trending.source.events.columns, device: { type: 'text', nullable: true, interned: false } } } } }, ['source.events.columns.device is new']],
    ['the order of columns', { ...trending, row: Object.fromEntries(Object.entries(trending.row).toReversed()) }, ['columns are in another order']],
  ])('%s', (_, other, changes) => {
    expect(definitionChanges(written(trending), written(other))).toEqual(changes);
  });

  test('settings, addresses and secrets are nothing that lasts; a secret is not written, and still another is seen', () => {
    const other = (settings: object, url: string, secret: string): Pipeline<Text> => ({ ...engagement, settings: { ...engagement.settings, ...settings }, sinks: { ...engagement.sinks, external: { ...engagement.sinks['external']!, url, secret } as never, enriched: { ...engagement.sinks['enriched']!, gatherMs: secret.length } as never } });
    const [before, now] = [other({}, 'http://a/', 'whsec_one'), other({ stepMs: 5 }, 'http://b/', 'whsec_another')];
    expect(definitionChanges(writtenLasting(writtenDefinition(before), {}), writtenLasting(writtenDefinition(now), {}))).toEqual([]);
    expect(definitionHash(resolve(before, {}))).toBe(definitionHash(resolve(now, {})));
    const changes = definitionChanges(written(before), written(now));
    expect(changes.map((change) => change.split(' is ')[0])).toEqual(['sinks.enriched.gatherMs', 'sinks.external.url', 'sinks.external.secret', 'settings.stepMs']);
    expect(writtenDefinition(before)).not.toContain('whsec_one');
  });

  test('whoever writes a migration into the definition as well has changed nothing that lasts', () => {
    const { device: _, ...row } = engagement.row;
    const { device: __, ...columns } = engagement.source.events.columns;
    const after = { ...engagement, row, source: { ...engagement.source, events: { ...engagement.source.events, columns } } };
    const shape = { events: { device: { lost: 'removed' } } } as const;
    const changes = (migrated: Shape) => definitionChanges(writtenLasting(writtenDefinition(engagement), migrated), writtenLasting(writtenDefinition(after), migrated));
    expect(changes({}).length).toBeGreaterThan(0);
    expect(changes(shape)).toEqual([]);
  });
});
