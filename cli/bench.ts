import { defineCommand } from 'citty';
import { runProgram } from './program.ts';

export default defineCommand({
  meta: { name: 'bench', description: 'Rates, CPU, memory, latency and exactness, on instances of its own; short by default (8 minutes)' },
  args: {
    full: { type: 'boolean', description: 'Every case, every setting and how cost grows (an hour and a half), and docs/performance.md out of it' },
    only: { type: 'string', valueHint: 'plain,latency', description: 'Only these cases; a wrong name says which there are' },
    json: { type: 'boolean', description: 'As JSON; progress goes to standard error' },
    rows: { type: 'string', valueHint: '1000000', description: 'Events of the plain case; the others take a part or a multiple' },
    rounds: { type: 'string', valueHint: '5', description: 'Rounds of the plain case' },
    'cpu-prof': { type: 'string', valueHint: 'FILE', description: 'One plain round more, with a CPU profile of the worker' },
    document: { type: 'string', valueHint: 'FILE,FILE', description: 'Measure nothing: docs/performance.md out of what --json printed, the later file of two that have a case' },
    'port-base': { type: 'string', valueHint: '7600', description: 'First of ten ports' },
  },
  async run({ rawArgs }) {
    process.exitCode = await runProgram('bench/main.ts', rawArgs);
  },
});
