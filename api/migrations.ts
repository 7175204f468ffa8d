import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { decideMigration, listMigrations } from '../client/migrations.ts';
import { BadInput } from '../core/bad-input.ts';
import { migrationStateNames } from '../core/migration/migration-state.ts';
import { changeLines } from '../core/migration/schema-change.ts';
import { ApiError, errorResponses } from './errors.ts';
import { knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';

const State = z.enum(migrationStateNames);
const Decision = z.enum(['approve', 'reject']);
const Migration = z
  .object({
    number: z.number(),
    state: State,
    decision: Decision.nullable(),
    changes: z.array(z.string()).openapi({ description: 'What became of the source, a line each.' }),
    text: z.string().nullable().openapi({ description: 'What either decision means, with what is done at each sink; null when it is over.' }),
    error: z.string().nullable(),
    detected: z.iso.datetime(),
    ended: z.iso.datetime().nullable(),
    workflowId: z.string(),
    workflowUrl: z.string().nullable(),
  })
  .openapi('Migration');

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

const list = createRoute({
  method: 'get',
  path: '/pipelines/{name}/migrations',
  summary: 'Changes of the columns of the source\'s tables, and what became of them, newest first',
  request: { params: PipelineName },
  responses: { 200: { description: 'Migrations', content: json(z.object({ migrations: z.array(Migration) })) }, ...errorResponses(401, 404, 503) },
});
const decide = createRoute({
  method: 'post',
  path: '/pipelines/{name}/migrations/{number}/{decision}',
  summary: 'Approve or reject one that waits',
  request: { params: PipelineName.extend({ number: z.coerce.number().int().positive().openapi({ param: { name: 'number', in: 'path' } }), decision: Decision.openapi({ param: { name: 'decision', in: 'path' } }) }) },
  responses: { 202: { description: 'It was decided', content: json(z.object({ number: z.number(), state: State })) }, ...errorResponses(400, 401, 404, 409, 503) },
});

export function migrationRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  app.openapi(list, async (c) => {
    const pipeline = knownPipeline(pipelines, c.req.valid('param').name);
    const found = await available(() => listMigrations(config, pipeline.name));
    return c.json({ migrations: found.map(({ number, state, decision, changes, text, error, detected, ended, workflowId, workflowUrl }) => ({ number, state, decision, changes: changeLines(pipeline, changes), text, error, detected, ended, workflowId, workflowUrl })) }, 200);
  });
  app.openapi(decide, async (c) => {
    const { name, number, decision } = c.req.valid('param');
    knownPipeline(pipelines, name);
    const { state } = await available(() => decideMigration(config, name, decision, number));
    return c.json({ number, state }, 202);
  });
}

async function available<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof BadInput) throw new ApiError(409, 'not_to_be_decided', message);
    throw new ApiError(503, 'unavailable', message, { cause: error });
  }
}
