import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, Environment } from '../core/config.ts';
import { postgres } from '../infra/embedded/postgres.ts';
import { isRunning, readInstance, stopLeftovers } from '../infra/supervisor/instance.ts';
import { lockDataDir } from '../infra/supervisor/lock.ts';
import { planInstance, portsOf } from '../infra/supervisor/plan.ts';
import { checkPorts, portsFrom } from '../infra/supervisor/ports.ts';
import { productPorts, productProcesses } from '../infra/supervisor/processes.ts';
import { prepareProcesses, startProcesses } from '../infra/supervisor/product.ts';
import { Roster } from '../infra/supervisor/roster.ts';
import { secretsOf } from '../infra/supervisor/secrets.ts';
import { fetchPrograms, type Start, startServices } from '../infra/supervisor/services.ts';

export type BenchInstance = {
  readonly config: Config;
  /** Of a process by its name in the supervisor, as it runs now. */
  pidOf(name: string): number | undefined;
  /** Stops everything and removes its data. */
  stop(): Promise<void>;
};

export type InstanceOptions = {
  readonly dataDir: string;
  readonly portBase: number;
  /** Settings that differ from the defaults. Services of the user's own are no part of it: they would be filled and measured. */
  readonly environment?: Environment;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
};

/** A fresh PostgreSQL with the sample tables, and nothing else. */
export function startSource(options: InstanceOptions): Promise<BenchInstance> {
  return startFresh(options, { sourceOnly: true });
}

/** Everything that `./sluice up` starts, without load and pipelines. `workerImports`: modules that the worker loads first. */
export function startProduct(options: InstanceOptions, workerImports: readonly string[]): Promise<BenchInstance> {
  const processes = productProcesses.map((each) => (each.name === 'worker' ? { ...each, imports: workerImports } : each));
  return startFresh(options, { sourceOnly: false }, async (start) => {
    await prepareProcesses(start, processes);
    await startProcesses(start, processes);
  });
}

async function startFresh(options: InstanceOptions, { sourceOnly }: { sourceOnly: boolean }, then?: (start: Start) => Promise<void>): Promise<BenchInstance> {
  const { dataDir, report, signal } = options;
  if (isRunning(readInstance(dataDir))) throw new Error(`Another benchmark is running on ${dataDir}. Two at once would measure each other: wait for it.`);
  process.umask(0o022); // what root makes here, PostgreSQL's user must be able to read
  await stopLeftovers(dataDir);
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const unlock = lockDataDir(dataDir);
  let roster: Roster | undefined;
  const stop = async () => {
    await roster?.stop();
    unlock();
    await rm(dataDir, { recursive: true, force: true });
  };
  try {
    const ports = portsFrom(options.portBase);
    const place = { dataDir, ports, secrets: secretsOf(dataDir) };
    const whole = planInstance(options.environment ?? {}, place);
    const plan = sourceOnly ? { ...whole, embedded: [postgres] } : whole;
    await checkPorts(ports, [...plan.embedded.flatMap(({ name }) => portsOf[name]), ...(sourceOnly ? [] : productPorts)], `./sluice bench --port-base ${options.portBase + 1000}`);
    const { programs } = await fetchPrograms(plan, { report, signal });
    roster = new Roster(plan, report);
    const start: Start = { plan, place, roster, report, signal };
    await startServices(start, programs);
    await then?.(start);
    const pidOf = (name: string) => readInstance(dataDir)?.processes.find((each) => each.name === name)?.pid;
    return { config: plan.config, pidOf, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
