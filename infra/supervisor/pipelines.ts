import type { PipelineStatus } from '../../client/pipelines.ts';
import type { Config } from '../../core/config.ts';

/** The part of `client/pipelines.ts` that the supervisor and `status` use. Loaded late: it brings Temporal's client. */
export type PipelinesClient = {
  ensurePipelines(config: Config, names?: string[]): Promise<void>;
  pipelineStatuses(config: Config): Promise<PipelineStatus[]>;
};
export type { PipelineStatus };

export async function pipelinesClient(): Promise<PipelinesClient> {
  return import('../../client/pipelines.ts');
}
