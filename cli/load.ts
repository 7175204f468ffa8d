import { defineCommand } from 'citty';
import { toEnvironment } from '../core/config.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'load', description: 'Write events as users would; says the rate it truly reached' },
  args: {
    pipeline: { type: 'string', valueHint: 'engagement|trending', description: 'Whose tables; all when it is left out' },
    rate: { type: 'string', valueHint: '3333', description: 'Events per second' },
    burst: { type: 'string', valueHint: '100000', description: 'Events written first, at full speed' },
    updates: { type: 'string', valueHint: '3%', description: 'Part of the events that changes a recent row; 0% when left out, like the next two' },
    deletes: { type: 'string', valueHint: '1%', description: 'Part of the events that removes a recent row' },
    late: { type: 'string', valueHint: '2%', description: 'Part of the inserts whose event time lies 90 s to 10 min back' },
    duration: { type: 'string', valueHint: '60s', description: 'When to end (s, m, h); otherwise Ctrl-C' },
    ...dataArg,
  },
  async run({ args }) {
    const names = ['pipeline', 'rate', 'burst', 'updates', 'deletes', 'late', 'duration'] as const;
    const flags = names.flatMap((name) => (args[name] === undefined ? [] : [`--${name}=${args[name]}`]));
    process.exitCode = await runProgram('bench/load/main.ts', flags, toEnvironment(instanceConfig(args)));
  },
});
