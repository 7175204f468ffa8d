import { expect, test } from 'vitest';
import { planInstance } from './plan.ts';
import { portsFrom } from './ports.ts';

const secrets = { postgresPassword: 'secret', externalSecret: 'whsec_AAAA' };
const place = { dataDir: '/data', ports: portsFrom(7400), secrets };
const names = (environment: Record<string, string>) =>
  planInstance(environment, place).embedded.map((service) => service.name);

test('runs everything itself when nothing is set', () => {
  const { config, own } = planInstance({}, place);
  expect(names({})).toEqual(['postgres', 'redis', 'clickhouse', 'temporal']);
  expect(own).toEqual([]);
  expect(config).toMatchObject({
    sourceUrl: 'postgres://sluice:secret@127.0.0.1:7400/source',
    stateUrl: 'postgres://sluice:secret@127.0.0.1:7400/state',
    temporalAddress: '127.0.0.1:7404',
    apiPort: 7406,
    externalUrl: 'http://127.0.0.1:7408/events',
  });
});

test('takes settings over from the environment', () => {
  expect(planInstance({}, place).config.heartbeat).toBe('1s');
  expect(planInstance({ SLUICE_HEARTBEAT: '10s' }, place).config.heartbeat).toBe('10s');
});

test('starts nothing that the user has', () => {
  expect(names({ SLUICE_REDIS_URL: 'redis://there', TEMPORAL_ADDRESS: 'there:7233' })).toEqual([
    'postgres',
    'clickhouse',
  ]);
  expect(planInstance({ TEMPORAL_ADDRESS: 'there:7233' }, place).config.temporalUiUrl).toBeUndefined();
});

test('runs PostgreSQL as long as one of its databases is needed', () => {
  const source = { SLUICE_SOURCE_URL: 'postgres://there/db' };
  expect(names(source)).toContain('postgres');
  expect(planInstance(source, place).own).toEqual(['source']);
  expect(names({ ...source, SLUICE_STATE_URL: 'postgres://there/state' })).not.toContain('postgres');
});

test('the ports of the instance win over those of another one in the environment', () => {
  expect(planInstance({ SLUICE_API_PORT: '1234', SLUICE_DATA: '/other' }, place).config).toMatchObject({
    apiPort: 7406,
    dataDir: '/data',
  });
});
