import { expect, test } from 'vitest';
import { resolve } from '../../core/define/resolve.ts';
import { pipelines } from '../../pipelines/index.ts';
import { columnsTable } from './columns.ts';
import { views } from './growth.ts';
import { gather50, largeBatches } from './settings.ts';
import './index.ts';

test('only what gathers gathers longer, and settings that are not changed stay', () => {
  expect(gather50.sinks).toMatchObject({ enriched: { gatherMs: 50 }, live: { gatherMs: 0 }, external: { gatherMs: 50 } });
  expect(largeBatches.settings).toMatchObject({ segmentRows: 200_000, lingerMs: 250, stepMs: pipelines['engagement']!.settings.stepMs });
  expect(largeBatches.sinks['external']).toMatchObject({ maxRows: 20_000, inFlight: 6 });
});

test('no two pipelines write to the same place, but for the HTTP receiver', () => {
  const environment = { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' };
  const places = Object.values(pipelines).flatMap((pipeline) => Object.values(resolve(pipeline, environment).sinks).flatMap((sink) => ('table' in sink ? [sink.table] : 'key' in sink ? [sink.key] : [])));
  expect(new Set(places).size).toBe(places.length);
  for (const [name, pipeline] of Object.entries(pipelines)) expect(pipeline.name).toBe(name);
});

test('a published view is one of the pipeline, and a table has as many columns as it says', () => {
  for (const { views: each, sinks } of views) for (const sink of Object.values(sinks)) if ('view' in sink) expect(each).toHaveProperty(sink.view);
  for (const columns of [5, 20, 50]) expect(Object.keys(columnsTable(columns).columns)).toHaveLength(columns - 2);
});
