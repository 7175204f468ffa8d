import { defineCommand } from 'citty';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'bench', description: 'Rates, CPU, memory, latency and exactness, on an instance of its own' },
  args: {
    json: { type: 'boolean', description: 'As JSON; progress goes to standard error' },
    rounds: { type: 'string', valueHint: '5', description: 'Rounds of bare receiving and the pipeline' },
    rows: { type: 'string', valueHint: '1000000', description: 'Events in a round' },
    latency: { type: 'boolean', default: true, negativeDescription: 'Leave out the latency at 3,333 events/s', description: 'Measure the latency at 3,333 events/s' },
    'cpu-prof': { type: 'string', valueHint: 'FILE', description: "One round more, with a CPU profile of the worker" },
    'port-base': { type: 'string', valueHint: '7600', description: 'First of ten ports' },
  },
  async run({ args }) {
    const values = (['rounds', 'rows', 'port-base', 'cpu-prof'] as const).flatMap((name) => (args[name] === undefined ? [] : [`--${name}=${args[name]}`]));
    const flags = [...values, ...(args.json ? ['--json'] : []), ...(args.latency ? [] : ['--no-latency'])];
    process.exitCode = await runProgram('bench/main.ts', flags);
  },
});
