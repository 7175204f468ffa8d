import { faults } from './faults/index.ts';
import { inWorld, program } from './in-world.ts';
import { type ChaosOptions, parseChaosOptions } from './options.ts';
import { type ChaosReport, reportText } from './report.ts';
import { runChaos } from './run.ts';

/** `./sluice chaos`: faults on the real services, on an instance of its own. Exit 0: all equal; 1: not; 2: bad input. */
await program(async (stopped) => {
  const options = parseChaosOptions(process.argv.slice(2), faults, Math.floor(Math.random() * 0x1_0000));
  if (options.list) return list(options);
  return inWorld({ ...options, imports: ['chaos/laboratory/read-edits.ts'] }, stopped, async ({ world, say, signal }) => {
    const result = await runChaos(world, options, faults, say, signal);
    const print = (kept: string | null) => {
      const report: ChaosReport = { ...result, kept };
      return options.json ? JSON.stringify(report, undefined, 2) : reportText(report);
    };
    return { ok: result.ok, print };
  });
});

function list({ json }: ChaosOptions): boolean {
  if (json) {
    console.log(JSON.stringify(faults.map(({ name, what, expected, drawn }) => ({ name, what, expected, drawn })), undefined, 2));
    return true;
  }
  for (const { name, what, drawn } of faults) console.log(`${name.padEnd(36)} ${drawn ? ' ' : '*'} ${what}`);
  console.log('\n* only by name (--fault), and in the full run');
  return true;
}
