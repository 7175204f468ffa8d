import { defineCommand } from 'citty';
import { type Config, parseConfig } from '../core/config.ts';
import { temporalCommand } from '../infra/embedded/temporal.ts';
import { partsFolder } from '../infra/supervisor/checkout.ts';
import { type EndpointName, endpoints } from '../infra/supervisor/endpoints.ts';
import { type Instance, isRunning, NotRunning, readInstance } from '../infra/supervisor/instance.ts';
import { type PipelineStatus, pipelinesClient } from '../infra/supervisor/pipelines.ts';
import { dataArg, dataDirOf } from './instance.ts';

export default defineCommand({
  meta: { name: 'status', description: 'Pipelines and services, asked now; exit code 0 if all are healthy, or paused on purpose' },
  args: { json: { type: 'boolean', description: 'As JSON; URLs as one connects by them, with passwords' }, ...dataArg },
  async run({ args }) {
    const dataDir = dataDirOf(args);
    const instance = readInstance(dataDir);
    if (!isRunning(instance)) throw new NotRunning(dataDir);
    const config = parseConfig(instance.environment);
    const [services, pipelines] = await Promise.all([serviceStatuses(instance, config), pipelinesOf(config)]);
    if (args.json) console.log(JSON.stringify({ pipelines: pipelines.list, services }, undefined, 2));
    else print(config, services, pipelines);
    const healthy = !pipelines.problem && pipelines.list.every(isHealthy) && Object.values(services).every((each) => each.healthy || each.url === null);
    process.exit(healthy ? 0 : 1);
  },
});

/** What was paused on purpose is. */
function isHealthy({ state, capture, lanes, slot }: PipelineStatus): boolean {
  if (slot?.alarm === 'critical' || slot?.alarm === 'lost') return false;
  const stuck = [capture, ...lanes].some((part) => part?.state === 'parked' || part?.state === 'broken');
  return state !== 'parked' && state !== 'unreachable' && !stuck;
}

type ServiceStatus = { readonly url: string | null; readonly pid: number | null; readonly healthy: boolean };
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
    const healthy =
      url !== null &&
      (await endpoint.check(url).then(
        () => true,
        () => false,
      ));
    return [name, { url, pid: process?.pid ?? null, healthy }];
  });
  return Object.fromEntries(await Promise.all(statuses));
}

async function pipelinesOf(config: Config): Promise<Pipelines> {
  try {
    return { list: await (await pipelinesClient()).pipelineStatuses(config) };
  } catch (error) {
    return { list: [], problem: (error as Error).message };
  }
}

function print(config: Config, services: Services, pipelines: Pipelines): void {
  for (const [name, { url, pid, healthy }] of Object.entries(services)) {
    const health = url === null ? 'unknown' : healthy ? 'healthy' : 'DOWN';
    console.log(`${name.padEnd(12)} ${health.padEnd(8)} ${String(pid ?? '').padEnd(8)} ${url === null ? '' : withoutPassword(url)}`);
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
