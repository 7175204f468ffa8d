import { defineCommand } from 'citty';
import { type Config, parseConfig } from '../core/config.ts';
import { temporalCommand } from '../infra/embedded/temporal.ts';
import { partsFolder } from '../infra/supervisor/checkout.ts';
import { type EndpointName, endpoints } from '../infra/supervisor/endpoints.ts';
import { type Instance, isRunning, NotRunning, readInstance } from '../infra/supervisor/instance.ts';
import { type PipelinesClient, type PipelineStatus, pipelinesClient } from '../infra/supervisor/pipelines.ts';
import { type Health, probe } from '../infra/supervisor/probe.ts';
import { dataArg, dataDirOf } from './instance.ts';

export default defineCommand({
  meta: { name: 'status', description: 'Pipelines and services, asked now; exit code 0 if none is down: healthy, slow to answer, or paused on purpose' },
  args: { json: { type: 'boolean', description: 'As JSON; URLs as one connects by them, with passwords' }, ...dataArg },
  async run({ args }) {
    const dataDir = dataDirOf(args);
    const instance = readInstance(dataDir);
    if (!isRunning(instance)) throw new NotRunning(dataDir);
    const config = parseConfig(instance.environment);
    // loading Temporal's client takes the processor, while the clocks of the probes would run
    const client = await pipelinesClient();
    const [services, pipelines] = await Promise.all([serviceStatuses(instance, config), pipelinesOf(client, config)]);
    if (args.json) console.log(JSON.stringify({ pipelines: pipelines.list, services: Object.fromEntries(Object.entries(services).map(([name, service]) => [name, inJson(service)])) }, undefined, 2));
    else print(config, services, pipelines);
    const isDown = Object.values(services).some(({ health }) => health?.tag === 'down');
    process.exit(!isDown && !pipelines.problem && pipelines.list.every(isHealthy) ? 0 : 1);
  },
});

/** What was paused on purpose is. */
function isHealthy({ state, capture, lanes, slot }: PipelineStatus): boolean {
  if (slot?.alarm === 'critical' || slot?.alarm === 'lost') return false;
  const stuck = [capture, ...lanes].some((part) => part?.state === 'parked' || part?.state === 'broken');
  return state !== 'parked' && state !== 'unreachable' && !stuck;
}

/** Without a health: where it is is not known. */
type ServiceStatus = { readonly url: string | null; readonly pid: number | null; readonly health: Health | null };
type Services = Readonly<Record<string, ServiceStatus>>;
type Pipelines = { readonly list: readonly PipelineStatus[]; readonly problem?: string };

async function serviceStatuses(instance: Instance, config: Config): Promise<Services> {
  const names = Object.keys(endpoints) as EndpointName[];
  const statuses = names.map(async (name): Promise<[string, ServiceStatus]> => {
    const endpoint = endpoints[name];
    const url = endpoint.url(config) ?? null;
    const process = instance.own.includes(name)
      ? undefined
      : instance.processes.find((each) => each.name === endpoint.process);
    return [name, { url, pid: process?.pid ?? null, health: url === null ? null : await probe(() => endpoint.check(url)) }];
  });
  return Object.fromEntries(await Promise.all(statuses));
}

function inJson({ url, pid, health }: ServiceStatus) {
  return { url, pid, healthy: health?.tag === 'healthy' };
}

async function pipelinesOf(client: PipelinesClient, config: Config): Promise<Pipelines> {
  try {
    return { list: await client.pipelineStatuses(config) };
  } catch (error) {
    return { list: [], problem: (error as Error).message };
  }
}

function print(config: Config, services: Services, pipelines: Pipelines): void {
  for (const [name, { url, pid, health }] of Object.entries(services)) {
    const word = health === null ? 'unknown' : health.tag === 'down' ? 'DOWN' : health.tag;
    const why = health === null || health.tag === 'healthy' ? '' : `   ${health.why}`;
    console.log(`${name.padEnd(12)} ${word.padEnd(8)} ${String(pid ?? '').padEnd(8)} ${url === null ? '' : withoutPassword(url)}${why}`);
  }
  if (pipelines.problem) console.log(`\npipelines could not be asked: ${pipelines.problem}`);
  for (const pipeline of pipelines.list) printPipeline(config, pipeline);
}

function printPipeline(config: Config, { name, state, reason, eventsPerSecond, watermark, capture, lanes, slot, workflowUrl }: PipelineStatus): void {
  console.log(`\n${name}: ${state}, ${eventsPerSecond} events/s${watermark === null ? '' : `, watermark ${watermark}`}${reason === null ? '' : `\n  ${reason}`}`);
  for (const lane of [...(capture ? [capture] : []), ...lanes]) {
    const lag = lane.lagMs === null ? '' : `${lane.lagMs} ms behind`;
    console.log(`  ${lane.name.padEnd(12)} ${lane.kind.padEnd(16)} ${lane.state.padEnd(8)} ${lag.padEnd(16)} ${lane.fence ?? ''}${lane.deadLetters === 0 ? '' : `\n    ${lane.deadLetters} dead letters wait: ./sluice dlq list ${name} --lane ${lane.name}`}${lane.error === null ? '' : `\n    ${lane.error}`}`);
  }
  if (slot !== null) console.log(`  ${slot.alarm === 'none' ? '' : `${slot.alarm.toUpperCase()}: `}${slot.sentence}`);
  if (workflowUrl !== null) console.log(`  run: ${workflowUrl}`);
  const signal = state === 'paused' ? 'resume' : 'pause';
  console.log(`  ${signal} by hand: ${temporalCommand(partsFolder)} workflow signal --address ${config.temporalAddress} --namespace ${config.temporalNamespace} --workflow-id pipeline/${name} --name ${signal}`);
}

/** Whoever looks over a shoulder needs no password; `--json` has the whole URL. */
function withoutPassword(url: string): string {
  if (!URL.canParse(url) || !url.includes('://')) return url;
  const shown = new URL(url);
  shown.password = '';
  return shown.href.replace(/\/$/, '');
}
