import { parseArgs } from 'node:util';
import { runSupervisor } from './run.ts';

/** The process behind `sluice up --detach`. It tells its parent how the start goes, then lives on by itself. */
const { values } = parseArgs({
  options: { data: { type: 'string' }, 'port-base': { type: 'string' }, rate: { type: 'string' } },
});

await runSupervisor({
  dataDir: values.data!,
  portBase: Number(values['port-base']),
  rate: values.rate === undefined ? undefined : Number(values.rate),
  tell: (message) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => {}); // the parent may be gone; that is no failure
  },
});
process.exit();
