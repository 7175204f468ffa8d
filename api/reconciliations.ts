import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { startReconcile } from '../client/reconciliations.ts';
import { reconcileRequest } from '../core/reconcile.ts';
import { asked, errorResponses } from './errors.ts';
import { knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';

const Time = z.iso.datetime({ offset: true }).optional().openapi({ example: '2026-11-01T10:30:00Z' });
const Choice = z.strictObject({
  from: Time.openapi({ description: 'Without a range: twice the time between two that begin by themselves, up to what has closed.' }),
  to: Time.openapi({ description: 'Windows must have closed by then.' }),
  repair: z.boolean().optional().openapi({ description: 'Compute, say or make anew what differs, and compare it again.' }),
});
const Started = z.object({ workflowId: z.string(), workflowUrl: z.string().nullable() }).openapi('StartedReconcile');

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });

const start = createRoute({
  method: 'post',
  path: '/pipelines/{name}/reconciliations',
  summary: 'Start a workflow that compares closed windows of every sink with the source, while both go on; what it found is in the status',
  request: { params: PipelineName, body: { required: true, content: json(Choice) } },
  responses: { 202: { description: 'It has started', content: json(Started) }, ...errorResponses(400, 401, 404, 503) },
});

export function reconciliationRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  app.openapi(start, async (c) => {
    const pipeline = knownPipeline(pipelines, c.req.valid('param').name);
    const { from, to, repair } = c.req.valid('json');
    const ms = (time: string | undefined) => (time === undefined ? undefined : Date.parse(time));
    const request = await asked(400, 'invalid_reconcile', () => reconcileRequest(pipeline, { fromMs: ms(from), toMs: ms(to), repair }, Date.now()));
    return c.json(await asked(503, 'unavailable', () => startReconcile(config, request)), 202);
  });
}
