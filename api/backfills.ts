import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { listBackfills, signalBackfill, startBackfill } from '../client/backfills.ts';
import { backfillRequest, backfillStates } from '../core/backfill.ts';
import { asked, errorResponses } from './errors.ts';
import { knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';

const Time = z.iso.datetime({ offset: true }).openapi({ example: '2026-11-01T10:30:00Z' });
const Names = z.array(z.string()).optional();
const Choice = z.strictObject({
  from: Time,
  to: Time.openapi({ description: 'Windows must have closed by then.' }),
  views: Names.openapi({ description: 'Only these views, and no rows unless `sinks` names some; without either everything.' }),
  sinks: Names.openapi({ description: 'Only the rows of these destinations, and no windows unless `views` names some.' }),
  chunkRows: z.number().int().positive().optional().openapi({ description: 'About so many rows are read in one transaction of the source.' }),
  rowsPerSecond: z.number().int().positive().optional().openapi({ description: 'At most so many rows are read a second.' }),
});
const Started = z.object({ workflowId: z.string(), workflowUrl: z.string().nullable() }).openapi('StartedBackfill');
const Backfill = Started.extend({
  range: z.string().openapi({ description: 'What the paths to pause, resume and cancel it name.' }),
  state: z.enum(backfillStates),
  views: z.array(z.string()),
  sinks: z.array(z.string()),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  doneTo: z.iso.datetime().nullable(),
  rows: z.number().openapi({ description: 'Read so far.' }),
  phase: z.string().nullable(),
  started: z.iso.datetime(),
  error: z.string().nullable(),
}).openapi('Backfill');

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

const start = createRoute({
  method: 'post',
  path: '/pipelines/{name}/backfills',
  summary: 'Start a workflow that computes closed windows, and rows, of a time anew from the source, beside the stream',
  request: { params: PipelineName, body: { required: true, content: json(Choice) } },
  responses: { 202: { description: 'It has started', content: json(Started) }, ...errorResponses(400, 401, 404, 409, 503) },
});
const list = createRoute({
  method: 'get',
  path: '/pipelines/{name}/backfills',
  summary: 'The newest backfills, and how far they are',
  request: { params: PipelineName },
  responses: { 200: { description: 'Backfills', content: json(z.object({ backfills: z.array(Backfill) })) }, ...errorResponses(401, 404, 503) },
});
const change = createRoute({
  method: 'post',
  path: '/pipelines/{name}/backfills/{range}/{verb}',
  summary: 'Pause, resume or cancel one; what is done stays',
  request: { params: PipelineName.extend({ range: z.string().openapi({ param: { name: 'range', in: 'path' } }), verb: z.enum(['pause', 'resume', 'cancel']).openapi({ param: { name: 'verb', in: 'path' } }) }) },
  responses: { 202: { description: 'It was told', content: json(z.object({ workflowId: z.string() })) }, ...errorResponses(400, 401, 404, 503) },
});

export function backfillRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  app.openapi(start, async (c) => {
    const pipeline = knownPipeline(pipelines, c.req.valid('param').name);
    const { from, to, ...choice } = c.req.valid('json');
    const request = await asked(400, 'invalid_backfill', () => backfillRequest(pipeline, { ...choice, fromMs: Date.parse(from), toMs: Date.parse(to) }, Date.now()));
    return c.json(await asked(409, 'is_going_on', () => startBackfill(config, request)), 202);
  });
  app.openapi(list, async (c) => {
    const { name } = knownPipeline(pipelines, c.req.valid('param').name);
    const found = await asked(503, 'unavailable', () => listBackfills(config, name));
    const backfills = found.map(({ workflowId, workflowUrl, status: { state, views, sinks, fromMs, toMs, progress, started, error } }) => ({
      workflowId,
      workflowUrl,
      range: workflowId.split('/').slice(2).join('/'),
      state,
      views: [...views],
      sinks: [...sinks],
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      doneTo: progress && new Date(progress.doneToMs).toISOString(),
      rows: progress?.rows ?? 0,
      phase: progress?.phase ?? null,
      started,
      error,
    }));
    return c.json({ backfills }, 200);
  });
  app.openapi(change, async (c) => {
    const { name, range, verb } = c.req.valid('param');
    knownPipeline(pipelines, name);
    const workflowId = `backfill/${name}/${range}`;
    await asked(404, 'unknown_backfill', () => signalBackfill(config, workflowId, verb));
    return c.json({ workflowId }, 202);
  });
}
