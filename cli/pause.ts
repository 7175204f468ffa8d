import { defineCommand } from 'citty';
import { pausePipeline } from '../client/pipelines.ts';
import { typed } from '../infra/supervisor/checkout.ts';
import { dataArg, dataDirOf, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'pause', description: 'Stops a pipeline, or one of its lanes, at the next segment; nothing is lost' },
  args: {
    name: pipelineArg,
    lane: { type: 'string', valueHint: 'LANE', description: 'Only this lane (or capture); the others go on' },
    ...dataArg,
  },
  async run({ args: { name: given, lane, ...args } }) {
    const name = pipelineName('pause', given);
    const ms = await pausePipeline(instanceConfig(args), name, lane);
    console.log(`${name}${lane === undefined ? '' : `, lane ${lane}`} paused after ${(ms / 1000).toFixed(2)} s. Go on with: ${typed(`resume ${name}${lane === undefined ? '' : ` --lane ${lane}`}`, dataDirOf(args))}`);
  },
});
