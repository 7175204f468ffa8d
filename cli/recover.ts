import { defineCommand } from 'citty';
import { isLoaded } from '../client/migrations.ts';
import { pipelines } from '../client/pipelines.ts';
import { recoverPipeline, RecoveryFailed } from '../client/recoveries.ts';
import { BadInput } from '../core/bad-input.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { nothingToRecover, recoveryText, type RecoveryStatus } from '../core/recovery.ts';
import { confirm } from './ask.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'recover', description: 'Say what a pipeline\'s stream or a destination lacks (a lost slot, a source or a destination put back, a table of rows that was dropped), and have it read again: the rows of that destination, or all. Exit code 0 done, 1 failed, 2 refused' },
  args: {
    name: pipelineArg,
    lane: { type: 'string', valueHint: 'LANE', description: 'Write only the rows of this destination again, whatever it lacks' },
    'dry-run': { type: 'boolean', description: 'Only say what is lacking and what would be done' },
    yes: { type: 'boolean', description: 'Do not ask' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('recover', args.name);
    const isDry = args['dry-run'] === true;
    assertLane(name, args.lane);
    if (!isDry && !args.yes && !process.stdin.isTTY) throw new BadInput(`recover reads ${name}'s tables again, and asks first. Without a terminal, say it beforehand: ${askedWith(name, args)} --yes`);
    const config = instanceConfig(args);
    // the workflow would refuse it too, but only after it was told of
    if (!(await isLoaded(config, name))) throw new BadInput(nothingToRecover(name));
    const approve = async ({ plan }: RecoveryStatus) => {
      if (isDry) return false;
      if (plan && !args.json) console.error(recoveryText(plan));
      return args.yes || confirm(plan?.lanes ? `Write the rows of ${plan.lanes.join(', ')} again?` : `Load ${name} anew${plan?.needless === undefined ? '' : ' all the same'}?`);
    };
    try {
      const status = await recoverPipeline(config, name, { lane: args.lane, approve, onStarted: (workflowId, url) => console.error(`recovering; see ${url ?? workflowId}`) });
      console.log(args.json ? JSON.stringify(status, undefined, 2) : isDry && status.plan ? recoveryText(status.plan) : outcome(name, status));
      process.exitCode = status.state === 'done' || isDry ? 0 : 1;
    } catch (error) {
      if (!(error instanceof RecoveryFailed)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  },
});

/** What it was asked with: without its lane it would load everything. */
function askedWith(name: string, { lane, json, data }: { readonly lane?: string | undefined; readonly json?: boolean | undefined; readonly data?: string | undefined }): string {
  return `./sluice recover ${name}${lane === undefined ? '' : ` --lane ${lane}`}${json ? ' --json' : ''}${data === undefined ? '' : ` --data ${data}`}`;
}

function assertLane(name: string, lane: string | undefined): void {
  const lanes = lanesOf(pipelines[name]!).map((each) => each.name);
  if (lane !== undefined && !lanes.includes(lane)) throw new BadInput(`${name} has no lane ${lane}; it has ${lanes.join(', ')}.`);
}

function outcome(name: string, { state, plan, rows }: RecoveryStatus): string {
  if (state !== 'done') return `${name}: it was cancelled, and what is missing is missing still`;
  const what = plan?.lanes ? `the rows of ${plan.lanes.join(', ')} were written again, from ${rows.toLocaleString('en')} of the source` : 'loaded anew';
  return `${name}: ${what}; its stream goes on. Compare: ./sluice verify ${name}`;
}
