import { defineCommand } from 'citty';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'chaos', description: 'Load and faults on an instance of its own, then verify; exit code 0 all equal, 1 not, 2 bad input' },
  args: {
    seed: { type: 'string', valueHint: '7', description: 'Which faults come in which order, under which load; random when left out' },
    minutes: { type: 'string', valueHint: '5', description: 'How long faults are drawn; not with --fault' },
    pipeline: { type: 'string', valueHint: 'engagement', description: 'The pipeline that runs: engagement, trending, or laboratory, which has every type of column' },
    fault: { type: 'string', valueHint: 'NAME', description: 'Only this one, once; may be given several times. With + between them, several at once' },
    json: { type: 'boolean', description: 'As JSON; progress goes to standard error' },
    list: { type: 'boolean', description: 'List the faults instead' },
    'port-base': { type: 'string', valueHint: '7700', description: 'First of seventeen ports' },
  },
  // the program reads the options itself: --fault may come several times, and bad input has an exit code of its own
  async run({ rawArgs }) {
    process.exitCode = await runProgram('chaos/main.ts', rawArgs);
  },
});
