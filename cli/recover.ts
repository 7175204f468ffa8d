import { defineCommand } from 'citty';
import { recoverPipeline, RecoveryFailed } from '../client/recoveries.ts';
import { BadInput } from '../core/bad-input.ts';
import { recoveryText, type RecoveryStatus } from '../core/recovery.ts';
import { confirm } from './ask.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'recover', description: 'Say what a pipeline\'s stream lacks (a lost slot, a source or a destination put back), and have it loaded anew. Exit code 0 done, 1 failed, 2 refused' },
  args: {
    name: pipelineArg,
    yes: { type: 'boolean', description: 'Do not ask' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('recover', args.name);
    if (!args.yes && !process.stdin.isTTY) throw new BadInput(`recover reads all of ${name}'s tables again, and asks first. Without a terminal, say it beforehand: ./sluice recover ${name} --yes`);
    const approve = async ({ plan }: RecoveryStatus) => {
      if (plan && !args.json) console.error(recoveryText(plan));
      return args.yes || confirm(`Load ${name} anew?`);
    };
    try {
      const status = await recoverPipeline(instanceConfig(args), name, { approve, onStarted: (workflowId, url) => console.error(`recovering; see ${url ?? workflowId}`) });
      console.log(args.json ? JSON.stringify(status, undefined, 2) : status.state === 'done' ? `${name}: loaded anew; its stream goes on. Compare: ./sluice verify ${name}` : `${name}: nothing was done`);
      process.exitCode = status.state === 'done' ? 0 : 1;
    } catch (error) {
      if (!(error instanceof RecoveryFailed)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  },
});
