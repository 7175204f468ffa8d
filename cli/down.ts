import { join } from 'node:path';
import { defineCommand } from 'citty';
import { stopProcess } from '../infra/supervisor/identity.ts';
import { isRunning, readInstance, stopLeftovers } from '../infra/supervisor/instance.ts';
import { linesOf } from '../infra/supervisor/wait.ts';
import { dataArg, dataDirOf } from './instance.ts';
import { undrained } from './undrained.ts';

/** Longer than all processes together may take by their own limits. */
const supervisorStopMs = 90_000;

export default defineCommand({
  meta: { name: 'down', description: 'Drain and stop everything that `up` started. The data stay: `up` goes on with them' },
  args: dataArg,
  async run({ args }) {
    const dataDir = dataDirOf(args);
    const startedAt = performance.now();
    const instance = readInstance(dataDir);
    const wasRunning = isRunning(instance);
    const workerLog = join(dataDir, 'logs', 'worker.log');
    const linesBefore = linesOf(workerLog).length;
    if (wasRunning) await stopProcess(instance.supervisor, [{ signal: 'SIGTERM', waitMs: supervisorStopMs }]);
    const leftovers = await stopLeftovers(dataDir);
    if (leftovers.length > 0) console.log(`stopped what the supervisor left behind: ${leftovers.join(', ')}`);
    for (const sentence of undrained(linesOf(workerLog).slice(linesBefore))) console.log(sentence);
    if (!wasRunning && leftovers.length === 0) console.log(`Nothing is running on ${dataDir}.`);
    else console.log(`stopped in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  },
});
