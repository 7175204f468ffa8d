import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../core/config.ts';
import { postgres } from '../infra/embedded/postgres.ts';
import type { Place } from '../infra/embedded/service.ts';
import { readInstance, stopLeftovers } from '../infra/supervisor/instance.ts';
import { lockDataDir } from '../infra/supervisor/lock.ts';
import { planInstance } from '../infra/supervisor/plan.ts';
import { checkPorts, portsFrom } from '../infra/supervisor/ports.ts';
import { Roster } from '../infra/supervisor/roster.ts';
import { secretsOf } from '../infra/supervisor/secrets.ts';
import { fetchPrograms, startServices } from '../infra/supervisor/services.ts';

export type SourceOnly = { readonly config: Config; readonly postgresPid: number; stop(): Promise<void> };

/** A fresh PostgreSQL with the sample tables, and nothing else. */
export async function startSourceOnly(options: { dataDir: string; portBase: number; signal: AbortSignal }): Promise<SourceOnly> {
  const { dataDir, signal } = options;
  process.umask(0o022);
  await stopLeftovers(dataDir);
  await rm(dataDir, { recursive: true, force: true });
  await mkdir(join(dataDir, 'logs'), { recursive: true });
  const unlock = lockDataDir(dataDir);
  const ports = portsFrom(options.portBase);
  await checkPorts(ports, ['postgres']);
  const place: Place = { dataDir, ports, secrets: secretsOf(dataDir) };
  const whole = planInstance({}, place);
  const plan = { ...whole, embedded: [postgres] };
  const report = () => {};
  const roster = new Roster(plan, report);
  try {
    const { programs } = await fetchPrograms(plan, { report, signal });
    await startServices({ plan, place, roster, report, signal }, programs);
  } catch (error) {
    await roster.stop();
    unlock();
    throw error;
  }
  return {
    config: plan.config,
    postgresPid: readInstance(dataDir)!.processes[0]!.pid,
    async stop() {
      await roster.stop();
      unlock();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
