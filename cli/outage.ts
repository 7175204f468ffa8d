import { defineCommand } from 'citty';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'outage', description: 'A destination is away under load, on an instance of its own: do the other lanes feel it, and how fast is it back? Then verify' },
  args: {
    sink: { type: 'string', valueHint: 'clickhouse', description: 'clickhouse, redis or http' },
    minutes: { type: 'string', valueHint: '10', description: 'How long it is away' },
    rate: { type: 'string', valueHint: '3333', description: 'Events per second' },
    json: { type: 'boolean', description: 'As JSON; progress goes to standard error' },
    'port-base': { type: 'string', valueHint: '7700', description: 'First of seventeen ports' },
  },
  async run({ rawArgs }) {
    process.exitCode = await runProgram('chaos/outage.ts', rawArgs);
  },
});
