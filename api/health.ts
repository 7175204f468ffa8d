import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';

const health = createRoute({
  method: 'get',
  path: '/health',
  summary: 'Whether the API answers; needs no token',
  responses: {
    200: {
      description: 'It does',
      content: { 'application/json': { schema: z.object({ status: z.literal('ok'), uptimeSeconds: z.number() }) } },
    },
  },
});

export function healthRoute(app: OpenAPIHono): void {
  app.openapi(health, (c) => c.json({ status: 'ok' as const, uptimeSeconds: Math.round(process.uptime()) }, 200));
}
