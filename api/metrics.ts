import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Resources } from './resources.ts';

export type Metrics = {
  readonly registry: Registry;
  readonly requestSeconds: Histogram<'method' | 'route' | 'status'>;
  readonly liveClients: Gauge;
};

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // its default, a look at the event loop each 10 ms, is most of what an idle process does
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 200 });
  return {
    registry,
    requestSeconds: new Histogram({
      name: 'sluice_api_request_seconds',
      help: 'Time until a request was answered; for live streams, until they began.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    liveClients: new Gauge({
      name: 'sluice_api_live_clients',
      help: 'Clients that follow a pipeline live.',
      registers,
    }),
  };
}

export function measureRequests({ requestSeconds }: Metrics): MiddlewareHandler {
  return async (c, next) => {
    const startedAt = performance.now();
    await next();
    // the route as it is written, never the path: anybody can invent paths
    const labels = { method: c.req.method, route: routePath(c, -1), status: String(c.res.status) };
    requestSeconds.observe(labels, (performance.now() - startedAt) / 1000);
  };
}

const metricsRoutePlan = createRoute({
  method: 'get',
  path: '/metrics',
  summary: "The API's own metrics, for Prometheus",
  responses: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
});

export function metricsRoute(app: OpenAPIHono, { metrics: { registry } }: Resources): void {
  app.openapi(metricsRoutePlan, async (c) =>
    c.text(await registry.metrics(), 200, { 'Content-Type': registry.contentType }),
  );
}
