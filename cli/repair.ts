import { defineCommand } from 'citty';
import { RepairFailed, repairPipeline } from '../client/repairs.ts';
import { repairText } from '../core/repair.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'repair', description: 'Compute windows with late changes, or a min or max that was taken out, anew, now; a pipeline does it by itself five minutes later. Exit code 0 done, 1 not all could be, 2 none' },
  args: {
    name: pipelineArg,
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('repair', args.name);
    try {
      const report = await repairPipeline(instanceConfig(args), name, (workflowId, url) => console.error(`repairing; see ${url ?? workflowId}`));
      console.log(args.json ? JSON.stringify(report, undefined, 2) : repairText(name, report));
      process.exitCode = report.failed.length === 0 ? 0 : 1;
    } catch (error) {
      if (!(error instanceof RepairFailed)) throw error;
      console.error(error.message);
      process.exitCode = 2;
    }
  },
});
