import type { Config } from '../../core/config.ts';
import { clickhouse } from '../embedded/clickhouse.ts';
import { postgres } from '../embedded/postgres.ts';
import { redis } from '../embedded/redis.ts';
import { temporal } from '../embedded/temporal.ts';
import { BadAnswer } from './probe.ts';

export type EndpointName =
  | 'source'
  | 'state'
  | 'redis'
  | 'clickhouse'
  | 'temporal'
  | 'temporalUi'
  | 'api'
  | 'worker'
  | 'receiver';

/** Something that answers under an address: what `status` lists. */
export type Endpoint = {
  /** The process that answers, by its name in the supervisor. */
  readonly process: string;
  url(config: Config): string | undefined;
  check(url: string): Promise<void>;
  /** The variable by which the user puts his own in its place. */
  readonly variable?: string;
};

export const endpoints: Readonly<Record<EndpointName, Endpoint>> = {
  source: { process: 'postgres', url: (c) => c.sourceUrl, check: postgres.check, variable: 'SLUICE_SOURCE_URL' },
  state: { process: 'postgres', url: (c) => c.stateUrl, check: postgres.check, variable: 'SLUICE_STATE_URL' },
  redis: { process: 'redis', url: (c) => c.redisUrl, check: redis.check, variable: 'SLUICE_REDIS_URL' },
  clickhouse: {
    process: 'clickhouse',
    url: (c) => c.clickhouseUrl,
    check: clickhouse.check,
    variable: 'SLUICE_CLICKHOUSE_URL',
  },
  temporal: { process: 'temporal', url: (c) => c.temporalAddress, check: temporal.check, variable: 'TEMPORAL_ADDRESS' },
  temporalUi: { process: 'temporal', url: (c) => c.temporalUiUrl, check: answers },
  api: { process: 'api', url: (c) => `http://127.0.0.1:${c.apiPort}`, check: isHealthy },
  worker: { process: 'worker', url: (c) => `http://127.0.0.1:${c.workerPort}`, check: isHealthy },
  receiver: { process: 'receiver', url: (c) => `http://127.0.0.1:${c.receiverPort}`, check: isHealthy },
};

/** The address without its password. */
export function hostOf(url: string): string {
  return URL.canParse(url) && url.includes('://') ? new URL(url).host : url;
}

function isHealthy(url: string): Promise<void> {
  return answers(`${url}/health`);
}

async function answers(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  await response.body?.cancel();
  if (response.status !== 200) throw new BadAnswer(`GET ${url} answered HTTP ${response.status}`);
}
