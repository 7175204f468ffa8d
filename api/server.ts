import { createAdaptorServer } from '@hono/node-server';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Config } from '../core/config.ts';
import { createApp } from './app.ts';
import { CannotListen } from './cannot-listen.ts';
import { isLoopback } from './loopback.ts';
import { openResources } from './resources.ts';

export type RunningServer = {
  readonly url: string;
  /** Ends live streams, lets requests that run finish, then lets go of every connection. */
  close(): Promise<void>;
};

/** Listens at the configured address. Throws CannotListen. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  if (!config.apiToken && !isLoopback(config.apiHost)) throw new CannotListen(unprotected(config.apiHost));
  const resources = openResources(config, log);
  try {
    const server = createAdaptorServer({ fetch: createApp(resources).fetch }) as Server;
    const { port } = await listen(server, config);
    const host = config.apiHost.includes(':') ? `[${config.apiHost}]` : config.apiHost;
    return {
      url: `http://${host}:${port}`,
      async close() {
        resources.live.close();
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeIdleConnections();
        const hurry = setTimeout(() => server.closeAllConnections(), drainMs);
        await closed;
        clearTimeout(hurry);
        await resources.close();
      },
    };
  } catch (error) {
    await resources.close();
    throw error;
  }
}

/** The supervisor waits 5 s before it kills. */
const drainMs = 3_000;

function unprotected(host: string): string {
  return (
    `The API does not listen on ${host} without a token: whoever reaches this address could pause pipelines and read their results.\n` +
    'Choose one: SLUICE_API_TOKEN=$(openssl rand -hex 24), or leave SLUICE_API_HOST at 127.0.0.1.'
  );
}

function listen(server: Server, { apiHost, apiPort }: Config): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why =
        error.code === 'EADDRINUSE'
          ? 'another process has this port; stop it, or choose another with SLUICE_API_PORT'
          : `${error.message}; see SLUICE_API_HOST and SLUICE_API_PORT`;
      reject(new CannotListen(`The API cannot listen on ${apiHost}:${apiPort}: ${why}.`));
    });
    server.listen(apiPort, apiHost, () => resolve(server.address() as AddressInfo));
  });
}
