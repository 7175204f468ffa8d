import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';

export type Health = { readonly healthy: boolean; readonly [detail: string]: unknown };

/** `/health` and `/metrics`, on loopback. Resolves when it listens; throws with what to type when the port is taken. */
export async function serveHealth(port: number, health: () => Health, metrics: Registry): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://worker').pathname;
    if (path === '/metrics') {
      response.setHeader('content-type', metrics.contentType).end(await metrics.metrics());
    } else if (path === '/health') {
      const now = health();
      response.writeHead(now.healthy ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(now));
    } else {
      response.writeHead(404).end();
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    reject(error.code === 'EADDRINUSE' ? new Error(`Port ${port} is in use by another process. Choose another one with SLUICE_WORKER_PORT.`) : error);
  });
  server.listen(port, '127.0.0.1', resolve);
  await promise;
  return server;
}
