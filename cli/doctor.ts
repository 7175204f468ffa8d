import { defineCommand } from 'citty';
import { toEnvironment } from '../core/config.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineName } from './pipeline-name.ts';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'doctor', description: 'Checks the services and the source tables of pipelines, changes nothing, and says what mends what; exit code 0 if nothing is wrong' },
  args: {
    name: { type: 'positional', description: 'The pipeline; all when it is left out', required: false },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const names = args.name === undefined ? [] : [pipelineName('doctor', args.name)];
    process.exitCode = await runProgram('doctor/main.ts', [...names, ...(args.json ? ['--json'] : [])], toEnvironment(instanceConfig(args)));
  },
});
