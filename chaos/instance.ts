import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ensurePipelines, pipelines } from '../client/pipelines.ts';
import type { EmbeddedService } from '../infra/embedded/service.ts';
import { typed } from '../infra/supervisor/checkout.ts';
import { isRunning, readInstance, stopLeftovers } from '../infra/supervisor/instance.ts';
import { lockDataDir } from '../infra/supervisor/lock.ts';
import { planInstance, portsOf } from '../infra/supervisor/plan.ts';
import { checkPorts, portsFrom } from '../infra/supervisor/ports.ts';
import { productPorts, productProcesses } from '../infra/supervisor/processes.ts';
import { startProcess } from '../infra/supervisor/product.ts';
import { Roster } from '../infra/supervisor/roster.ts';
import { secretsOf } from '../infra/supervisor/secrets.ts';
import { fetchPrograms, type Start, startServices } from '../infra/supervisor/services.ts';
import { openWays, wayPorts, type Ways } from './addresses.ts';
import { createLaboratory } from './laboratory/tables.ts';
import { createSourceRole } from './source-role.ts';
import { mountSpoolDisk, unmountSpoolDisk } from './spool-disk.ts';

export type ChaosInstance = {
  /** With the addresses of the services themselves. */
  readonly start: Start;
  /** With those of the proxies: what workers are started with. */
  readonly workerStart: Start;
  readonly ways: Ways;
  readonly roster: Roster;
  /** Where the spool has a disk of its own; undefined: it has not. */
  readonly spoolDisk: string | undefined;
  /** Added to PostgreSQL's arguments at its next start; the last one of a name counts. */
  readonly postgresArguments: string[];
  readonly killPointDirectory: string;
  /** What only a worker of the laboratory has. */
  readonly workerImports: readonly string[];
  /** A worker beside the first, not started yet. */
  readonly secondWorkerPort: number;
  stop(): Promise<void>;
  /** After `stop`. */
  remove(): Promise<void>;
};

export type InstanceOptions = {
  readonly dataDir: string;
  readonly portBase: number;
  readonly pipeline: string;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
  /** A fresh run of the pipeline's workflow begins at this many events of history; as everywhere, if left out. */
  readonly rotateAtEvents?: number;
  /** Whether the spool is put on a small disk of its own, which faults can fill. */
  readonly ownSpoolDisk?: boolean;
  /** Modules that workers load first, beside those of the laboratory. */
  readonly imports?: readonly string[];
};

/** Every service and process of `./sluice up`, fresh, without load, with one pipeline, and with its worker behind proxies. */
export async function startChaosInstance({ dataDir, portBase, pipeline, report, signal, rotateAtEvents, ownSpoolDisk = true, imports = [] }: InstanceOptions): Promise<ChaosInstance> {
  if (isRunning(readInstance(dataDir))) throw new Error(`Another run is going on in ${dataDir}. Wait for it, stop it with ${typed('down', dataDir)}, or choose other ports: ./sluice chaos --port-base 8700`);
  process.umask(0o022); // what root makes here, PostgreSQL's user must be able to read
  await stopLeftovers(dataDir);
  await unmountSpoolDisk(dataDir);
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const unlock = lockDataDir(dataDir);
  let roster: Roster | undefined;
  let ways: Ways | undefined;
  const stop = async () => {
    // proxies last: a worker that drains still says what it did
    await roster?.stop();
    await ways?.close();
    await unmountSpoolDisk(dataDir);
    unlock();
  };
  try {
    const ports = portsFrom(portBase);
    const place = { dataDir, ports, secrets: secretsOf(dataDir) };
    const workerImports = ['chaos/worker-clock.ts', 'chaos/laboratory/pipeline.ts', ...imports];
    const postgresArguments: string[] = [];
    // services of the user's own are not used: they would be killed
    const whole = planInstance({}, place);
    const plan = { ...whole, embedded: whole.embedded.map((service) => withMoreArguments(service, postgresArguments)) };
    await checkPorts(ports, [...plan.embedded.flatMap(({ name }) => portsOf[name]), ...productPorts], `./sluice chaos --port-base ${portBase + 1000}`);
    const { programs } = await fetchPrograms(plan, { report, signal });
    roster = new Roster(plan, report);
    const spoolDisk = ownSpoolDisk ? await mountSpoolDisk(dataDir) : undefined;
    const killPointDirectory = join(dataDir, 'kill-points');
    await mkdir(killPointDirectory);
    const start: Start = { plan, place, roster, report, signal };
    await startServices(start, programs);
    if (pipeline === 'laboratory') await createLaboratory(plan.config.sourceUrl);
    const sourceUrl = await createSourceRole(plan.config, pipelines[pipeline]!, place.secrets.postgresPassword);
    ways = await openWays({ ...plan.config, sourceUrl }, portBase + Object.keys(ports).length);
    const workerStart: Start = { ...start, plan: { ...plan, config: { ...ways.config, killPoints: killPointDirectory } } };
    for (const each of productProcesses) await (each.name === 'worker' ? startProcess(workerStart, { ...each, imports: workerImports }) : startProcess(start, each));
    await ensurePipelines(plan.config, [pipeline], { ...(rotateAtEvents !== undefined && { rotateAtEvents }) });
    const secondWorkerPort = portBase + Object.keys(ports).length + wayPorts;
    return { start, workerStart, ways, roster, spoolDisk, postgresArguments, killPointDirectory, workerImports, secondWorkerPort, stop, remove: () => rm(dataDir, { recursive: true, force: true }) };
  } catch (error) {
    await stop();
    throw error;
  }
}

function withMoreArguments(service: EmbeddedService, more: readonly string[]): EmbeddedService {
  if (service.name !== 'postgres') return service;
  return {
    ...service,
    prepare: async (program, place) => {
      const command = await service.prepare(program, place);
      return { ...command, args: [...command.args, ...more] };
    },
  };
}
