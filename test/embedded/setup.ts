import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { isRunning, readInstance, stopLeftovers } from '../../infra/supervisor/instance.ts';
import { startInstance } from '../../infra/supervisor/start.ts';

const firstPort = Number(process.env['SLUICE_TEST_PORT_BASE'] ?? 7500);

/** One instance of the four services for all tests of a project, fresh for each run. Services of the user's own are not
 * used: tests make and drop databases. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // what runs at once needs different ports, and then has different directories
  const portBase = firstPort + (project.name === 'product' ? 400 : 0);
  const dataDir = join(checkout, '.sluice', 'test', String(portBase));
  await makeFresh(dataDir);
  const instance = await startInstance({
    dataDir,
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
async function makeFresh(dataDir: string): Promise<void> {
  if (isRunning(readInstance(dataDir))) {
    throw new Error(
      'Another test run is going on. Wait for it, or give this one its ports: SLUICE_TEST_PORT_BASE=8500',
    );
  }
  await stopLeftovers(dataDir);
  await rm(dataDir, { recursive: true, force: true });
}
