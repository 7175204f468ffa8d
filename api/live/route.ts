import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { streamSSE } from 'hono/streaming';
import { ApiError, errorResponses } from '../errors.ts';
import { knownPipeline, PipelineName } from '../known.ts';
import type { Resources } from '../resources.ts';
import { Mailbox } from './mailbox.ts';

const live = createRoute({
  method: 'get',
  path: '/pipelines/{name}/live',
  summary: 'What a pipeline does and what it has computed, pushed as it changes',
  description:
    'Events: `status` (a PipelineStatus) about once a second, `results` (Results) within a second of a change, each only ' +
    'when it differs from the one before; a slow reader gets the newest, not all. A `heartbeat` comes when nothing else did.',
  request: { params: PipelineName },
  responses: {
    200: { description: 'Server-sent events', content: { 'text/event-stream': { schema: z.string() } } },
    ...errorResponses(401, 404, 503),
  },
});

/** A browser sees nothing of a comment, and has no other way to notice a connection that died silently. */
const heartbeatMs = 5_000;
const maxClients = 100;

export function liveRoute(app: OpenAPIHono, { live: feeds, metrics, pipelines }: Resources): void {
  app.openapi(live, (c) => {
    const { name } = knownPipeline(pipelines, c.req.valid('param').name);
    if (feeds.clients >= maxClients)
      throw new ApiError(
        503,
        'too_many_clients',
        `${maxClients} clients follow live results already; close one, or ask GET /pipelines/${name} now and then.`,
      );
    // nginx and the like would gather events
    c.header('X-Accel-Buffering', 'no');
    return streamSSE(c, async (stream) => {
      const mailbox = new Mailbox();
      const leave = feeds.join(name, mailbox);
      stream.onAbort(() => mailbox.close());
      metrics.liveClients.set(feeds.clients);
      try {
        await stream.write(`: ${name}\nretry: 1000\n\n`);
        for (;;) {
          const next = await mailbox.take(heartbeatMs);
          if (next === 'closed') return;
          await stream.writeSSE(next === 'quiet' ? { event: 'heartbeat', data: '' } : next);
        }
      } finally {
        leave();
        metrics.liveClients.set(feeds.clients);
      }
    });
  });
}
