import { join } from 'node:path';
import { checkout } from '../infra/supervisor/checkout.ts';
import { faults } from './faults/index.ts';
import { BadInput, type ChaosOptions, parseChaosOptions } from './options.ts';
import { type ChaosReport, reportText } from './report.ts';
import { runChaos } from './run.ts';
import { World } from './world.ts';

/** `./sluice chaos`: faults on the real services, on an instance of its own. Exit 0: all equal; 1: not; 2: bad input. */
const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stopped.abort(new Error('Stopped before the end; what was started is stopped and removed.')));
}

try {
  const options = parseChaosOptions(process.argv.slice(2), faults, Math.floor(Math.random() * 0x1_0000));
  if (options.list) list(options);
  else process.exitCode = (await main(options)) ? 0 : 1;
} catch (error) {
  const reason: unknown = stopped.signal.aborted ? stopped.signal.reason : error;
  console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' || !(reason instanceof Error) ? reason : reason.message);
  process.exitCode = error instanceof BadInput ? 2 : 1;
}
process.exit();

async function main(options: ChaosOptions): Promise<boolean> {
  const say = (line: string) => console.error(line);
  const dataDir = join(checkout, '.sluice', 'chaos', String(options.portBase));
  const world = await World.open({ dataDir, portBase: options.portBase, pipeline: options.pipeline, report: say, signal: stopped.signal });
  let ok = false;
  try {
    const result = await runChaos(world, options, faults, say, stopped.signal);
    ({ ok } = result);
    const report: ChaosReport = { ...result, kept: ok ? null : dataDir };
    console.log(options.json ? JSON.stringify(report, undefined, 2) : reportText(report));
    return ok;
  } finally {
    await world.close();
    if (ok || stopped.signal.aborted) await world.instance.remove();
  }
}

function list({ json }: ChaosOptions): void {
  if (json) return console.log(JSON.stringify(faults.map(({ name, what, expected, drawn }) => ({ name, what, expected, drawn })), undefined, 2));
  for (const { name, what, drawn } of faults) console.log(`${name.padEnd(36)} ${drawn ? ' ' : '*'} ${what}`);
  console.log('\n* only by name (--fault), and in the full run');
}
