import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PipelineStatus } from '../../client/pipelines.ts';
import type { Config } from '../../core/config.ts';
import { checkout } from './checkout.ts';

/** The part of `client/pipelines.ts` that the supervisor and `status` use. Loaded late: it brings Temporal's client. */
export type PipelinesClient = {
  ensurePipelines(config: Config, names?: string[]): Promise<void>;
  pipelineStatuses(config: Config): Promise<PipelineStatus[]>;
};
export type { PipelineStatus };

export async function pipelinesClient(): Promise<PipelinesClient | undefined> {
  const file = join(checkout, 'client/pipelines.ts');
  return existsSync(file) ? ((await import(file)) as PipelinesClient) : undefined;
}
