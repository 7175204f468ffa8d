import { type Config, type Environment, parseConfig, toEnvironment } from '../../core/config.ts';
import { clickhouse } from '../embedded/clickhouse.ts';
import { postgres, superuser } from '../embedded/postgres.ts';
import { redis } from '../embedded/redis.ts';
import type { EmbeddedService, Place, PortName, ServiceName } from '../embedded/service.ts';
import { temporal } from '../embedded/temporal.ts';
import { type EndpointName, endpoints } from './endpoints.ts';

export const services: readonly EmbeddedService[] = [postgres, redis, clickhouse, temporal];

/** What an instance consists of: which services it runs itself, and the configuration of everything. */
export type Plan = {
  readonly config: Config;
  readonly embedded: readonly EmbeddedService[];
  /** The services that are the user's own. */
  readonly own: readonly EndpointName[];
};

/** A service whose variable the user has set is the user's own, and is not started. */
export function planInstance(environment: Environment, place: Place): Plan {
  const { ports, secrets } = place;
  const database = (name: string) =>
    `postgres://${superuser}:${secrets.postgresPassword}@127.0.0.1:${ports.postgres}/${name}`;
  const own = (variable: string) => environment[variable] || undefined;
  const config = parseConfig({
    ...environment,
    ...toEnvironment({
      dataDir: place.dataDir,
      portBase: ports.postgres,
      sourceUrl: own('SLUICE_SOURCE_URL') ?? database('source'),
      stateUrl: own('SLUICE_STATE_URL') ?? database('state'),
      redisUrl: own('SLUICE_REDIS_URL') ?? `redis://127.0.0.1:${ports.redis}`,
      clickhouseUrl: own('SLUICE_CLICKHOUSE_URL') ?? `http://127.0.0.1:${ports.clickhouse}`,
      temporalAddress: own('TEMPORAL_ADDRESS') ?? `127.0.0.1:${ports.temporal}`,
      ...(own('TEMPORAL_ADDRESS') ? {} : { temporalUiUrl: `http://127.0.0.1:${ports.temporalUi}` }),
      apiPort: ports.api,
      workerPort: ports.worker,
      receiverPort: ports.receiver,
      externalUrl: own('SLUICE_EXTERNAL_URL') ?? `http://127.0.0.1:${ports.receiver}/events`,
      externalSecret: own('SLUICE_EXTERNAL_SECRET') ?? secrets.externalSecret,
    }),
  });
  const isOwn = (name: EndpointName) => own(endpoints[name].variable ?? '') !== undefined;
  const names = Object.keys(endpoints) as EndpointName[];
  return {
    config,
    own: names.filter(isOwn),
    embedded: services.filter(({ name }) =>
      names.some((each) => endpoints[each].process === name && endpoints[each].variable && !isOwn(each)),
    ),
  };
}

export const portsOf: Record<ServiceName, readonly PortName[]> = {
  postgres: ['postgres'],
  redis: ['redis'],
  clickhouse: ['clickhouse', 'clickhouseTcp'],
  temporal: ['temporal', 'temporalUi', 'temporalMetrics'],
};
