import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { startBootstrap } from '../client/bootstrap.ts';
import { startDestroy } from '../client/destroy.ts';
import { BadInput } from '../core/bad-input.ts';
import { ApiError, errorResponses } from './errors.ts';
import { knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';

const Apply = z.strictObject({
  allow: z.boolean().default(false).openapi({ description: 'What loses results may be done in place, and what cannot be changed in place be dropped, and made from nothing.' }),
  keepResults: z.boolean().default(false).openapi({ description: 'Of sinks that end when it is changed in place, what was written stays.' }),
});
const Destroy = z.strictObject({
  name: z.string().openapi({ description: 'The pipeline once more: what it has made is dropped.' }),
  keepResults: z.boolean().default(false).openapi({ description: 'Result tables, ClickHouse tables and Redis keys stay.' }),
});
const Started = z.object({ workflowId: z.string(), workflowUrl: z.string().nullable() });

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

const apply = createRoute({
  method: 'post',
  path: '/pipelines/{name}/apply',
  summary: 'Start a workflow that looks whether the pipeline can run, starts it or has it take over what changed, and waits until it streams',
  request: { params: PipelineName, body: { required: false, content: json(Apply) } },
  responses: { 202: { description: 'It has started', content: json(Started) }, ...errorResponses(400, 401, 404, 409, 503) },
});
const destroy = createRoute({
  method: 'post',
  path: '/pipelines/{name}/destroy',
  summary: 'Start a workflow that ends the pipeline and drops all that it has made',
  request: { params: PipelineName, body: { required: true, content: json(Destroy) } },
  responses: { 202: { description: 'It has started', content: json(Started) }, ...errorResponses(400, 401, 404, 409, 503) },
});

export function lifecycleRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  app.openapi(apply, async (c) => {
    const { name } = knownPipeline(pipelines, c.req.valid('param').name);
    // without a body there is nothing to validate, and `valid` gives undefined
    const { allow = false, keepResults = false } = (c.req.valid('json') as z.output<typeof Apply> | undefined) ?? {};
    return c.json(await started(() => startBootstrap(config, { pipeline: name, allow, ...(keepResults ? { keepResults } : {}) })), 202);
  });
  app.openapi(destroy, async (c) => {
    const { name } = knownPipeline(pipelines, c.req.valid('param').name);
    const { name: typed, keepResults } = c.req.valid('json');
    if (typed !== name) throw new ApiError(400, 'not_confirmed', `The body names ${JSON.stringify(typed)}, and the path ${name}: nothing was done. To destroy it, send {"name": "${name}"}.`);
    return c.json(await started(() => startDestroy(config, { pipeline: name, keepResults })), 202);
  });
}

async function started<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof BadInput) throw new ApiError(409, 'is_going_on', message);
    throw new ApiError(503, 'unavailable', message, { cause: error });
  }
}
