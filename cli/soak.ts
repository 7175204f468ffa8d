import { defineCommand } from 'citty';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'soak', description: 'Steady load for long on an instance of its own: do memory, spool, slot and histories stay flat? Then verify' },
  args: {
    minutes: { type: 'string', valueHint: '30', description: 'How long' },
    rate: { type: 'string', valueHint: '3333', description: 'Events per second' },
    'rotate-at': { type: 'string', valueHint: '1500', description: "A fresh run of the pipeline's workflow at this many events of history, or when Temporal suggests it (about 4,096)" },
    json: { type: 'boolean', description: 'As JSON; progress goes to standard error' },
    'port-base': { type: 'string', valueHint: '7700', description: 'First of seventeen ports' },
  },
  async run({ rawArgs }) {
    process.exitCode = await runProgram('chaos/soak.ts', rawArgs);
  },
});
