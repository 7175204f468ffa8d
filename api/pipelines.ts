import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { pausePipeline, resumePipeline, UnknownName } from '../client/pipelines.ts';
import { ApiError, errorResponses } from './errors.ts';
import { assertLane, knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';
import { PipelineStatus, readStatus, readStatuses } from './status.ts';

const Pipelines = z.object({ pipelines: z.array(PipelineStatus) }).openapi('Pipelines');
const LaneChoice = z.strictObject({
  lane: z.string().optional().openapi({ description: 'A lane, or `capture`; without it the whole pipeline.' }),
});
const Done = z.object({ pipeline: z.string(), lane: z.string().nullable(), tookMs: z.number() }).openapi('Done');

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

const list = createRoute({
  method: 'get',
  path: '/pipelines',
  summary: 'Every pipeline and what it does',
  responses: { 200: { description: 'Pipelines', content: json(Pipelines) }, ...errorResponses(401, 503) },
});

const one = createRoute({
  method: 'get',
  path: '/pipelines/{name}',
  summary: 'What one pipeline does',
  request: { params: PipelineName },
  responses: { 200: { description: 'The pipeline', content: json(PipelineStatus) }, ...errorResponses(401, 404, 503) },
});

const change = <Verb extends 'pause' | 'resume'>(verb: Verb, summary: string) =>
  createRoute({
    method: 'post',
    path: `/pipelines/{name}/${verb}`,
    summary,
    request: { params: PipelineName, body: { required: false, content: json(LaneChoice) } },
    responses: { 200: { description: 'It is so now', content: json(Done) }, ...errorResponses(400, 401, 404, 503) },
  });
const pause = change('pause', 'Pause a pipeline, or one lane of it; nothing is lost');
const resume = change('resume', 'Let a pipeline, or one lane of it, go on');

export function pipelineRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  app.openapi(list, async (c) => c.json({ pipelines: await readStatuses(config, pipelines) }, 200));

  app.openapi(one, async (c) => {
    const { name } = knownPipeline(pipelines, c.req.valid('param').name);
    return c.json(await readStatus(config, pipelines, name), 200);
  });

  const asked = async (verb: 'pause' | 'resume', name: string, lane: string | undefined) => {
    const pipeline = knownPipeline(pipelines, name);
    if (lane !== undefined) assertLane(pipeline, lane);
    const act = verb === 'pause' ? pausePipeline : resumePipeline;
    const tookMs = await act(config, name, lane).catch((error: Error) => {
      if (error instanceof UnknownName) throw new ApiError(404, 'unknown_lane', error.message);
      throw new ApiError(503, 'unavailable', error.message, { cause: error });
    });
    return { pipeline: name, lane: lane ?? null, tookMs: Math.round(tookMs) };
  };
  // without a body there is nothing to validate, and `valid` gives undefined
  const laneOf = (body: z.output<typeof LaneChoice> | undefined) => body?.lane;
  app.openapi(pause, async (c) =>
    c.json(await asked('pause', c.req.valid('param').name, laneOf(c.req.valid('json'))), 200),
  );
  app.openapi(resume, async (c) =>
    c.json(await asked('resume', c.req.valid('param').name, laneOf(c.req.valid('json'))), 200),
  );
}
