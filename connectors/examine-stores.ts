import { join } from 'node:path';
import { readClickhouseFacts } from './clickhouse/clickhouse-facts.ts';
import { readSourceFacts, readStateFacts, type SourceLook, type StateLook } from './postgres/source-health.ts';
import { readRedisFacts } from './redis/redis-facts.ts';
import { readSpoolFacts } from './spool/spool-facts.ts';
import { type Config, settings } from '../core/config.ts';
import { clickhouseFindings, type Finding, notReached, pipelineFindings, redisFindings, type Service, sourceFindings, spoolFindings, stateFindings } from '../core/doctor.ts';
import type { Pipeline } from '../core/pipeline.ts';

type Setting = 'sourceUrl' | 'stateUrl' | 'redisUrl' | 'clickhouseUrl' | 'temporalAddress';

/** `services`: of stores beside the databases, only these; all if it is missing. `asNew`: as if nothing of the pipelines were loaded. */
export type Examination = { readonly services?: ReadonlySet<Service>; readonly asNew?: boolean };

/** Asks everything that keeps something of an instance, and its source about these pipelines. Changes nothing; what does not answer is a finding. */
export async function examineStores(config: Config, pipelines: readonly Pipeline[], { services, asNew = false }: Examination = {}): Promise<Finding[]> {
  const wanted = (service: Service) => services?.has(service) ?? true;
  const rest = Promise.all([
    wanted('redis') ? asked('redis', 'redisUrl', async () => redisFindings(await readRedisFacts(config.redisUrl))) : [],
    wanted('clickhouse') ? asked('clickhouse', 'clickhouseUrl', async () => clickhouseFindings(await readClickhouseFacts(config.clickhouseUrl))) : [],
    spool(config, pipelines),
  ]);
  return [...(await databases(config, pipelines, asNew)), ...(await rest).flat()];
}

/** The state database first: what was loaded is on record there. */
async function databases({ stateUrl, sourceUrl }: Config, pipelines: readonly Pipeline[], asNew: boolean): Promise<Finding[]> {
  let state: StateLook | undefined;
  let source: (SourceLook & { systemIdentifier: string }) | undefined;
  const unreached = await asked('state', 'stateUrl', async () => ((state = await readStateFacts(stateUrl, pipelines.map(({ name }) => name))), []));
  const sourceFound = await asked('source', 'sourceUrl', async () => {
    source = await readSourceFacts(sourceUrl, pipelines, asNew ? { shards: new Map(), openChanges: new Map() } : state);
    return [...sourceFindings(source.source, source.pipelines), ...source.pipelines.flatMap(pipelineFindings)];
  });
  const stateFound = state ? stateFindings({ ...state.state, isSourceServer: source && source.systemIdentifier === state.systemIdentifier }) : unreached;
  return [...sourceFound, ...stateFound];
}

async function spool({ dataDir }: Config, pipelines: readonly Pipeline[]): Promise<Finding[]> {
  const facts = await readSpoolFacts(join(dataDir, 'spool'), pipelines.map(({ name }) => name));
  return spoolFindings({ ...facts, budgetBytes: pipelines.reduce((sum, { settings: { spoolBudgetBytes } }) => sum + spoolBudgetBytes, 0) });
}

/** That it does not answer is what was found, and which variable leads elsewhere. */
export async function asked(service: Service, setting: Setting, ask: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await ask();
  } catch (error) {
    if (process.env['SLUICE_LOG_LEVEL'] === 'debug') console.error(error);
    return [notReached(service, said(error), settings[setting].variable)];
  }
}

/** Errors of several addresses of one host have no message of their own. */
function said(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(said).join('; ');
  return error instanceof Error ? error.message || error.name : String(error);
}
