import { appendFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config, Environment } from '../../core/config.ts';
import type { Place } from '../embedded/service.ts';
import { typed } from './checkout.ts';
import { stopLeftovers } from './instance.ts';
import { lockDataDir } from './lock.ts';
import { planInstance, portsOf } from './plan.ts';
import { checkPorts, portsFrom } from './ports.ts';
import { prepareProcesses, startPipelines, startProcesses, startLoad } from './product.ts';
import { productPorts } from './processes.ts';
import { Roster } from './roster.ts';
import { secretsOf } from './secrets.ts';
import { fetchPrograms, startServices } from './services.ts';

export type StartOptions = {
  readonly dataDir: string;
  readonly portBase: number;
  /** Events per second of the load generator; 0: none. Undefined: gentle, if the source is the embedded one. */
  readonly rate?: number | undefined;
  /** Without Sluice's own processes: what the tests need. */
  readonly servicesOnly?: boolean;
  readonly environment: Environment;
  readonly report: (line: string) => void;
  /** Ends the start early; what was started is stopped. */
  readonly signal: AbortSignal;
};

export type RunningInstance = {
  readonly config: Config;
  /** How long the start took, downloads apart. */
  readonly startSeconds: number;
  readonly downloadSeconds: number;
  /** Which pipelines do not run though every process does, and what to type. */
  readonly sick: string | undefined;
  stop(): Promise<void>;
};

/**
 * Starts everything and keeps it running until `stop`. When a process cannot start, it stops what it started, and throws.
 * A pipeline that does not run ends nothing: what is asked and typed to mend it needs the instance.
 */
export async function startInstance(options: StartOptions): Promise<RunningInstance> {
  const { dataDir, signal } = options;
  const startedAt = performance.now();
  process.umask(0o022); // what root makes here, PostgreSQL's user must be able to read
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const unlock = lockDataDir(dataDir);
  const report = logging(dataDir, options.report);
  let roster: Roster | undefined;
  let sick: string | undefined;
  try {
    const leftovers = await stopLeftovers(dataDir);
    if (leftovers.length > 0) report(`stopped what an earlier supervisor left behind: ${leftovers.join(', ')}`);

    const ports = portsFrom(options.portBase);
    const place: Place = { dataDir, ports, secrets: secretsOf(dataDir) };
    const plan = planInstance(options.environment, place);
    const needed = plan.embedded.flatMap(({ name }) => portsOf[name]);
    await checkPorts(ports, options.servicesOnly ? needed : [...needed, ...productPorts], `${typed('up', dataDir)} --port-base ${options.portBase + 100}`);

    const { programs, seconds: downloadSeconds } = await fetchPrograms(plan, { report, signal });
    roster = new Roster(plan, report);
    const start = { plan, place, roster, report, signal };
    await Promise.all([startServices(start, programs), options.servicesOnly || prepareProcesses(start)]);
    if (!options.servicesOnly) {
      await startProcesses(start);
      sick = await startPipelines(start);
      await startLoad(start, options.rate);
    }
    if (sick === undefined) roster.ready();
    const startSeconds = (performance.now() - startedAt) / 1000 - downloadSeconds;
    return { config: plan.config, startSeconds, downloadSeconds, sick, stop: () => stop(roster, unlock) };
  } catch (error) {
    await stop(roster, unlock);
    throw error;
  }
}

async function stop(roster: Roster | undefined, unlock: () => void): Promise<void> {
  await roster?.stop();
  unlock();
}

/** What is reported also stays in the supervisor's log. */
function logging(dataDir: string, report: (line: string) => void): (line: string) => void {
  const file = join(dataDir, 'logs', 'supervisor.log');
  return (line) => {
    appendFileSync(file, `${new Date().toISOString()} ${line}\n`);
    report(line);
  };
}
