import { planOf } from '../plan.ts';
import { simulate } from '../simulate.ts';
import { plantedBugs } from './bugs.ts';

/** Runs seeds until one shows the planted bug. Exit code 1: none of them did, or what was planted does not run. */
const bug = plantedBugs.find(({ name }) => name === process.env['SLUICE_PLANTED'])!;
const seeds = Number(process.argv[2]);
for (let seed = 0; seed < seeds; seed++) {
  try {
    await simulate(planOf(seed, bug));
  } catch (error) {
    const found = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    // a crash of the text that was planted shows nothing: what was promised must be violated
    const isBroken = !found.startsWith('Violation: ');
    console.log(JSON.stringify({ seed, [isBroken ? 'broken' : 'found']: found }));
    process.exit(isBroken ? 1 : 0);
  }
}
console.log(`not found in ${seeds} schedules`);
process.exit(1);
