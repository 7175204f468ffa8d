import { z } from '@hono/zod-openapi';
import { lanesOf } from '../core/define/lanes.ts';
import type { Pipeline, Text } from '../core/pipeline.ts';
import { ApiError } from './errors.ts';

export type Pipelines = Readonly<Record<string, Pipeline<Text>>>;

export const PipelineName = z.object({
  name: z.string().openapi({ param: { name: 'name', in: 'path' }, example: 'engagement' }),
});

/** The pipeline of this name, or 404 with the names that there are. */
export function knownPipeline(pipelines: Pipelines, name: string): Pipeline<Text> {
  const pipeline = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined;
  if (pipeline) return pipeline;
  throw new ApiError(
    404,
    'unknown_pipeline',
    `There is no pipeline ${JSON.stringify(name)}. There are: ${Object.keys(pipelines).join(', ')}.`,
  );
}

export function assertLane(pipeline: Pipeline<Text>, lane: string): void {
  const names = ['capture', ...lanesOf(pipeline).map((each) => each.name)];
  if (names.includes(lane)) return;
  throw new ApiError(
    404,
    'unknown_lane',
    `The pipeline ${pipeline.name} has no lane ${JSON.stringify(lane)}. It has: ${names.join(', ')}.`,
  );
}
