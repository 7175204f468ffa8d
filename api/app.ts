import { OpenAPIHono } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import { secureHeaders } from 'hono/secure-headers';
import { backfillRoutes } from './backfills.ts';
import { dashboardRoutes } from './dashboard.ts';
import { deadLetterRoutes } from './dead-letters.ts';
import { ApiError, onError, onInvalid, onNotFound } from './errors.ts';
import { healthRoute } from './health.ts';
import { jsonBodiesOnly } from './json-body.ts';
import { lifecycleRoutes } from './lifecycle.ts';
import { liveRoute } from './live/route.ts';
import { measureRequests, metricsRoute } from './metrics.ts';
import { ownPagesOnly } from './origin.ts';
import { migrationRoutes } from './migrations.ts';
import { pipelineRoutes } from './pipelines.ts';
import { reconciliationRoutes } from './reconciliations.ts';
import type { Resources } from './resources.ts';
import { rememberToken, requireToken } from './token.ts';

/** Everything that is answered, from the outside in: what is open to all comes before the token is asked for. */
export function createApp(resources: Resources): OpenAPIHono {
  const { config, log, metrics } = resources;
  const app = new OpenAPIHono({ defaultHook: onInvalid });
  app.onError(onError(log));
  app.notFound(onNotFound);
  app.use(measureRequests(metrics));
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
      referrerPolicy: 'no-referrer',
    }),
  );
  app.use(ownPagesOnly(config));
  app.use(
    bodyLimit({
      maxSize: 16 * 1024,
      onError: () => {
        throw new ApiError(413, 'too_large', 'The body is larger than 16 KiB.');
      },
    }),
  );
  app.use(jsonBodiesOnly);

  healthRoute(app);
  dashboardRoutes(app, resources);

  app.use(requireToken(config));
  app.post('/session', (c) => {
    rememberToken(c, config);
    return c.body(null, 204);
  });
  app.doc31('/openapi.json', {
    openapi: '3.1.0',
    info: { title: 'Sluice', version: '1', description: 'Pipelines: status, pause and resume, live results.' },
  });
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  metricsRoute(app, resources);
  pipelineRoutes(app, resources);
  lifecycleRoutes(app, resources);
  backfillRoutes(app, resources);
  reconciliationRoutes(app, resources);
  migrationRoutes(app, resources);
  deadLetterRoutes(app, resources);
  liveRoute(app, resources);
  return app;
}
