import { defineCommand } from 'citty';
import { type Config, parseConfig } from '../core/config.ts';
import { temporalCommand } from '../infra/embedded/temporal.ts';
import { partsFolder } from '../infra/supervisor/checkout.ts';
import { type EndpointName, endpoints } from '../infra/supervisor/endpoints.ts';
import { type Instance, isRunning, NotRunning, readInstance } from '../infra/supervisor/instance.ts';
import { type PipelinesClient, type PipelineStatus, pipelinesClient } from '../infra/supervisor/pipelines.ts';
import { probe } from '../infra/supervisor/probe.ts';
import { dataArg, dataDirOf } from './instance.ts';
import { pipelineText, type Services, type ServiceStatus, servicesText } from './status-text.ts';

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
  console.log(servicesText(services).join('\n'));
  if (pipelines.problem) console.log(`\npipelines could not be asked: ${pipelines.problem}`);
  for (const pipeline of pipelines.list) console.log(`\n${pipelineText(pipeline, Date.now()).join('\n')}`);
  console.log(`\nPause or resume without Sluice, NAME being a pipeline:\n  ${temporalCommand(partsFolder)} workflow signal --address ${config.temporalAddress} --namespace ${config.temporalNamespace} --workflow-id pipeline/NAME --name pause`);
}
