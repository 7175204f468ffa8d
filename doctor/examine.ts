import { readTemporalFacts } from '../client/temporal-facts.ts';
import { asked, examineStores } from '../connectors/examine-stores.ts';
import type { Config } from '../core/config.ts';
import { type Finding, temporalFindings } from '../core/doctor.ts';
import type { Pipeline } from '../core/pipeline.ts';

/** Asks every service of an instance, and its source about these pipelines. Changes nothing; a service that does not answer is a finding. */
export async function examine(config: Config, pipelines: readonly Pipeline[]): Promise<Finding[]> {
  const temporal = asked('temporal', 'temporalAddress', async () => temporalFindings(await readTemporalFacts(config)));
  return [...(await examineStores(config, pipelines)), ...(await temporal)];
}
