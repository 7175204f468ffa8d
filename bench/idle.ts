import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { heartbeats } from '../core/heartbeat.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import { actionsOf } from './actions.ts';
import { startProduct } from './instance.ts';

/** What the pipeline engagement asks of Temporal while nothing happens, with either heartbeat: `node bench/idle.ts --minutes 5`. */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '5' }, 'port-base': { type: 'string', default: '7600' } } });
const portBase = Number(values['port-base']);
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort(new Error('Stopped before the end.')));

try {
  for (const heartbeat of heartbeats) {
    const dataDir = join(checkout, '.sluice', 'bench', String(portBase));
    const instance = await startProduct({ dataDir, portBase, environment: { SLUICE_HEARTBEAT: heartbeat }, report: (line) => console.error(line), signal: stopped.signal }, 'engagement');
    try {
      const { signal } = stopped;
      const actions = await actionsOf(instance.config, () => sleep(Number(values.minutes) * 60_000, undefined, { signal }));
      console.log(`heartbeat ${heartbeat}: ${actions.perHour.toLocaleString('en')} actions an hour, ${actions.perDay.toLocaleString('en')} a day; in ${Math.round(actions.seconds)} s ${JSON.stringify(actions.byType)}`);
    } finally {
      await instance.stop();
    }
  }
} catch (error) {
  console.error(stopped.signal.aborted ? (stopped.signal.reason as Error).message : error);
  process.exitCode = 1;
}
process.exit();
