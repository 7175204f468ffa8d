import { defineCommand } from 'citty';
import { pipelineStatuses, resumePipeline } from '../client/pipelines.ts';
import { typed } from '../infra/supervisor/checkout.ts';
import { dataArg, dataDirOf, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'resume', description: 'Lets a paused or parked pipeline, or one of its lanes, go on from its fence' },
  args: {
    name: pipelineArg,
    lane: { type: 'string', valueHint: 'LANE', description: 'Only this lane (or capture)' },
    ...dataArg,
  },
  async run({ args: { name: given, lane, ...args } }) {
    const name = pipelineName('resume', given);
    const config = instanceConfig(args);
    const ms = await resumePipeline(config, name, lane);
    console.log(`${name}${lane === undefined ? '' : `, lane ${lane}`} resumed after ${(ms / 1000).toFixed(2)} s`);
    const pipeline = (await pipelineStatuses(config)).find((each) => each.name === name);
    for (const part of [...(pipeline?.capture ? [pipeline.capture] : []), ...(pipeline?.lanes ?? [])]) {
      if (part.state === 'paused' && lane === undefined) console.log(`  ${part.name} was paused by its name and stays so. Go on with: ${typed(`resume ${name} --lane ${part.name}`, dataDirOf(args))}`);
    }
  },
});
