import { describe, expect, test } from 'vitest';
import { InvalidConfig, parseConfig, settings, toEnvironment } from './config.ts';

const complete = {
  SLUICE_SOURCE_URL: 'postgres://sluice:secret@127.0.0.1:7400/source',
  SLUICE_STATE_URL: 'postgresql://sluice:secret@127.0.0.1:7400/state',
  SLUICE_REDIS_URL: 'redis://127.0.0.1:7401',
  SLUICE_CLICKHOUSE_URL: 'http://127.0.0.1:7402',
  TEMPORAL_ADDRESS: '127.0.0.1:7404',
};

describe('configuration', () => {
  test('has defaults for all but the services', () => {
    const config = parseConfig(complete);
    expect(config).toMatchObject({ dataDir: '.sluice/data', apiPort: 7406, temporalNamespace: 'default' });
    expect(config.apiToken).toBeUndefined();
  });

  test('survives the way through an environment', () => {
    const config = parseConfig({ ...complete, SLUICE_API_PORT: '8080', SLUICE_API_TOKEN: 'x', SLUICE_HEARTBEAT: '10s' });
    expect(config.heartbeat).toBe('10s');
    expect(parseConfig(toEnvironment(config))).toEqual(config);
  });

  test('an empty variable is an absent one', () => {
    expect(parseConfig({ ...complete, SLUICE_API_PORT: '', SLUICE_API_TOKEN: '' }).apiPort).toBe(7406);
  });

  test('names every variable that is missing or wrong', () => {
    const parse = () =>
      parseConfig({ ...complete, TEMPORAL_ADDRESS: '', SLUICE_REDIS_URL: 'localhost', SLUICE_API_PORT: 'x', SLUICE_HEARTBEAT: '5s' });
    expect(parse).toThrow(InvalidConfig);
    expect(parse).toThrow(/TEMPORAL_ADDRESS is not set[^]*SLUICE_|SLUICE_REDIS_URL/);
    expect(parse).toThrow(/SLUICE_API_PORT: is not a port/);
    expect(parse).toThrow(/SLUICE_HEARTBEAT: .*"1s"\|"10s"/);
  });

  test('no variable is used twice and each has a description', () => {
    const all = Object.values(settings);
    expect(new Set(all.map((each) => each.variable)).size).toBe(all.length);
    for (const each of all) expect(each.description).toMatch(/\.$/);
  });
});
