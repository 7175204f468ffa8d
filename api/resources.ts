import process from 'node:process';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import type { Logger } from 'pino';
import { pipelines } from '../client/pipelines.ts';
import type { Config } from '../core/config.ts';
import { createDashboard, type Dashboard } from './dashboard.ts';
import type { Pipelines } from './known.ts';
import { boardsOf } from './live/boards.ts';
import { LiveFeeds } from './live/feeds.ts';
import { readResults } from './live/results.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { readStatuses } from './status.ts';

/** What requests are answered with; opened once a process. Nothing connects before it is used. */
export type Resources = {
  readonly config: Config;
  readonly log: Logger;
  readonly pipelines: Pipelines;
  readonly metrics: Metrics;
  readonly dashboard: Dashboard;
  readonly live: LiveFeeds;
  close(): Promise<void>;
};

export function openResources(config: Config, log: Logger): Resources {
  const redis = new Redis(config.redisUrl, {
    lazyConnect: true,
    connectTimeout: 2_000,
    commandTimeout: 2_000,
    maxRetriesPerRequest: 1,
  });
  const state = new Pool({
    connectionString: config.stateUrl,
    max: 4,
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
    application_name: 'sluice-api',
  });
  redis.on('error', (error) => log.debug({ error }, 'Redis'));
  state.on('error', (error) => log.debug({ error }, 'the state database'));
  const boards = new Map(Object.values(pipelines).map((each) => [each.name, boardsOf(each, process.env)]));
  return {
    config,
    log,
    pipelines,
    metrics: createMetrics(),
    dashboard: createDashboard(log),
    live: new LiveFeeds([...boards.keys()], {
      statuses: () => readStatuses(config, pipelines),
      results: (name) => readResults({ redis, state }, name, boards.get(name)!),
    }),
    async close() {
      redis.disconnect();
      await state.end();
    },
  };
}
