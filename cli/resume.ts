import { defineCommand } from 'citty';
import { resumePipeline } from '../client/pipelines.ts';
import { dataArg, instanceConfig } from './instance.ts';

export default defineCommand({
  meta: { name: 'resume', description: 'Lets a paused or parked pipeline, or one of its lanes, go on from its fence' },
  args: {
    name: { type: 'positional', description: 'The pipeline', required: true },
    lane: { type: 'string', valueHint: 'LANE', description: 'Only this lane (or capture)' },
    ...dataArg,
  },
  async run({ args: { name, lane, ...args } }) {
    const ms = await resumePipeline(instanceConfig(args), name, lane);
    console.log(`${name}${lane === undefined ? '' : `, lane ${lane}`} resumed after ${(ms / 1000).toFixed(2)} s`);
  },
});
