import type { Pipeline, Text } from '../../core/pipeline.ts';
import { pipelines } from '../../pipelines/index.ts';
import { columnsPipelines } from './columns.ts';
import { lanes, views } from './growth.ts';
import { keysPipeline } from './keys.ts';
import { five, gather50, largeBatches, linger10, linger100, linger250, smallBatches } from './settings.ts';

/** Whoever imports this file knows the benchmark's own pipelines beside those in pipelines/. */
const own: readonly Pipeline<Text>[] = [smallBatches, largeBatches, linger10, linger100, linger250, gather50, ...five, ...lanes, ...views, keysPipeline, ...columnsPipelines];
for (const pipeline of own) (pipelines as Record<string, Pipeline<Text>>)[pipeline.name] = pipeline;
