import { pino } from 'pino';
import { startServer } from '../../api/server.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { parseConfig, toEnvironment, type Config } from '../../core/config.ts';
import { services, throwAwayDatabase, throwAwayRedis } from '../embedded/services.ts';

/** A real API before real services, with a state database and a Redis of its own. */
export type ApiInstance = AsyncDisposable & {
  readonly config: Config;
  readonly url: string;
  readonly state: State;
  /** Stops the API as SIGTERM does; `start` starts another at the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
};

export async function startApi(settings: Partial<Config> = {}): Promise<ApiInstance> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await throwAwayDatabase());
  const numbered = stack.use(await throwAwayRedis());
  const state = openState(database.url);
  stack.defer(() => state.end());
  await migrate(state);
  const urls = { stateUrl: database.url, redisUrl: numbered.url, temporalUiUrl: 'http://127.0.0.1:8233' };
  const config = parseConfig(toEnvironment({ ...services(), ...urls, ...settings }));
  const log = pino({ level: 'error' });
  // port 0: one that is free
  let server = await startServer({ ...config, apiPort: 0 }, log);
  const { url } = server;
  const again = { ...config, apiPort: Number(new URL(url).port) };
  stack.defer(() => server.close());
  return {
    config,
    url,
    state,
    stop: () => server.close(),
    start: async () => void (server = await startServer(again, log)),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
