import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { isRunning, readInstance, stopLeftovers } from '../../infra/supervisor/instance.ts';
import { startInstance } from '../../infra/supervisor/start.ts';

// Two test runs at once need different ports, and then have different directories.
const portBase = Number(process.env['SLUICE_TEST_PORT_BASE'] ?? 7500);
const dataDir = join(checkout, '.sluice', 'test', String(portBase));

/** One instance of the four services for all integration tests, fresh for each run. Services of the user's own are not
 * used: tests make and drop databases. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const instance = await startInstance({
    dataDir: await freshDirectory(),
    portBase,
    servicesOnly: true,
    environment: {},
    report: (line) => line.startsWith('fetched') && console.log(line),
    signal: new AbortController().signal,
  });
  const { sourceUrl, stateUrl, redisUrl, clickhouseUrl, temporalAddress, temporalNamespace } = instance.config;
  project.provide('portBase', portBase);
  project.provide('services', { sourceUrl, stateUrl, redisUrl, clickhouseUrl, temporalAddress, temporalNamespace });
  return async () => {
    await instance.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}

/** An earlier run may have been killed; one that lives is left alone. */
async function freshDirectory(): Promise<string> {
  if (isRunning(readInstance(dataDir))) {
    throw new Error(
      'Another test run is going on. Wait for it, or give this one its ports: SLUICE_TEST_PORT_BASE=7540',
    );
  }
  await stopLeftovers(dataDir);
  await rm(dataDir, { recursive: true, force: true });
  return dataDir;
}
