import { mkdir } from 'node:fs/promises';
import type { EmbeddedService, Parts, Place, ServiceName } from '../embedded/service.ts';
import { partsFolder } from './checkout.ts';
import { createDatabase, createDemoTables } from './databases.ts';
import { type EndpointName, endpoints, hostOf } from './endpoints.ts';
import type { Plan } from './plan.ts';
import type { Roster } from './roster.ts';
import { together } from './together.ts';
import { NotHealthy, startMs, waitUntil } from './wait.ts';

/** What the phases of a start share. */
export type Start = {
  readonly plan: Plan;
  readonly place: Place;
  readonly roster: Roster;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
};

export type Programs = ReadonlyMap<ServiceName, string>;

/** The programs of all embedded services, and the seconds it took to fetch those that were missing. */
export async function fetchPrograms(
  plan: Plan,
  options: Omit<Parts, 'folder'>,
): Promise<{ programs: Programs; seconds: number }> {
  const startedAt = performance.now();
  await mkdir(partsFolder, { recursive: true });
  const programs = new Map<ServiceName, string>();
  await together(options.signal, plan.embedded, async (service, signal) => {
    programs.set(service.name, await service.find({ ...options, folder: partsFolder, signal }));
  });
  return { programs, seconds: (performance.now() - startedAt) / 1000 };
}

/** All services at once, each until it answers; then the databases and tables of the embedded PostgreSQL. */
export async function startServices(start: Start, programs: Programs): Promise<void> {
  const { plan } = start;
  const tasks = [
    ...plan.own.map((name) => (signal: AbortSignal) => checkOwn({ ...start, signal }, name)),
    ...plan.embedded.map(
      (service) => (signal: AbortSignal) => startService({ ...start, signal }, service, programs.get(service.name)!),
    ),
  ];
  await together(start.signal, tasks, (task, signal) => task(signal));
  if (!plan.own.includes('source')) await createDemoTables(plan.config.sourceUrl);
}

async function startService(start: Start, service: EmbeddedService, program: string): Promise<void> {
  const { plan, place, roster, report, signal } = start;
  const startedAt = performance.now();
  const child = roster.add(service.name, service.stop, () => service.prepare(program, place));
  await child.start();
  const urls = (Object.keys(endpoints) as EndpointName[])
    .filter((name) => endpoints[name].process === service.name && endpoints[name].variable && !plan.own.includes(name))
    .map((name) => endpoints[name].url(plan.config)!);
  const check = async () => {
    for (const url of urls) {
      if (service.name === 'postgres') await createDatabase(url);
      await service.check(url);
    }
  };
  const hopeless = () => child.deaths >= 5;
  await waitUntil(check, {
    what: service.name,
    timeoutMs: startMs,
    everyMs: 50,
    report,
    signal,
    hopeless,
    logFile: child.logFile,
  });
  report(`${service.name.padEnd(12)} healthy after ${seconds(startedAt)} s   ${hostOf(urls[0]!)}`);
}

async function checkOwn({ plan, report, signal }: Start, name: EndpointName): Promise<void> {
  const endpoint = endpoints[name];
  const url = endpoint.url(plan.config)!;
  try {
    await waitUntil(() => endpoint.check(url), { what: `Your ${name} at ${hostOf(url)}`, timeoutMs: 5_000, signal });
  } catch (error) {
    if (!(error instanceof NotHealthy)) throw error;
    const way = `Start it, correct ${endpoint.variable}, or unset ${endpoint.variable} to have one started for you.`;
    throw new Error(`${error.message}\n${way}`, { cause: error });
  }
  report(`${name.padEnd(12)} your own is healthy   ${hostOf(url)}`);
}

export function seconds(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}
