import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { redis } from '../../infra/embedded/redis.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { isAlive } from '../../infra/supervisor/identity.ts';
import { readInstance } from '../../infra/supervisor/instance.ts';
import { type RunningInstance, startInstance, type StartOptions } from '../../infra/supervisor/start.ts';
import { services } from './services.ts';

const portBase = inject('portBase') + 20;
const dataDir = join(checkout, '.sluice', 'test', String(portBase));

/** Runs Redis only; everything else is the shared instance's, as if it were the user's own. */
const options = (): StartOptions => ({
  dataDir,
  portBase,
  servicesOnly: true,
  environment: {
    SLUICE_SOURCE_URL: services().sourceUrl,
    SLUICE_STATE_URL: services().stateUrl,
    SLUICE_CLICKHOUSE_URL: services().clickhouseUrl,
    TEMPORAL_ADDRESS: services().temporalAddress,
  },
  report: () => {},
  signal: new AbortController().signal,
});
const redisProcess = () => readInstance(dataDir)?.processes.find((each) => each.name === 'redis');

describe('the supervisor', () => {
  let instance: RunningInstance;
  beforeAll(async () => {
    await rm(dataDir, { recursive: true, force: true });
    instance = await startInstance(options());
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  test("starts only what is not the user's own", () => {
    expect(readInstance(dataDir)?.processes.map((each) => each.name)).toEqual(['redis']);
    expect(readInstance(dataDir)?.own).toEqual(['source', 'state', 'clickhouse', 'temporal']);
  });

  test('refuses a second one on the same data, which changes nothing', async () => {
    const before = readInstance(dataDir);
    await expect(startInstance(options())).rejects.toThrow(/already running on .*\n.*sluice down/);
    expect(readInstance(dataDir)).toEqual(before);
  });

  test('refuses ports in use, which changes nothing', async () => {
    const other = { ...options(), dataDir: `${dataDir}-other` };
    await expect(startInstance(other)).rejects.toThrow(new RegExp(`${portBase + 1} +wanted for redis`));
    await rm(other.dataDir, { recursive: true });
  });

  test('starts again what was killed', async () => {
    const killed = redisProcess()!;
    process.kill(killed.pid, 'SIGKILL');
    await expect.poll(() => redisProcess()?.pid ?? killed.pid, { timeout: 5_000 }).not.toBe(killed.pid);
    await expect
      .poll(
        () =>
          redis.check(instance.config.redisUrl).then(
            () => true,
            () => false,
          ),
        { timeout: 5_000 },
      )
      .toBe(true);
  });

  test('stops what it started, once and for all', async () => {
    const last = redisProcess()!;
    await instance.stop();
    expect(isAlive(last)).toBe(false);
    await sleep(300); // longer than the delay before a restart
    expect(readInstance(dataDir)).toBeUndefined();
    await redis.check(services().redisUrl);
  });

  test("says which of the user's own services does not answer", async () => {
    const environment = { ...options().environment, TEMPORAL_ADDRESS: '127.0.0.1:1' };
    const start = startInstance({ ...options(), environment });
    await expect(start).rejects.toThrow(/Your temporal at 127.0.0.1:1 did not become healthy[^]*TEMPORAL_ADDRESS/);
    expect(readInstance(dataDir)).toBeUndefined();
  });
});
