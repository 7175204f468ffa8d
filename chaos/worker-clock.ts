import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Loaded before a worker of the laboratory: if there is a file `clock-shift` in its data directory, its clock is wrong by
 * that many milliseconds. Timers and clocks that do not jump run as ever, as with a machine's clock that is wrong.
 */
const shiftMs = readShift();
if (shiftMs !== 0) {
  const RealDate = Date;
  globalThis.Date = class extends RealDate {
    constructor(...parts: [] | ConstructorParameters<DateConstructor>) {
      super(...((parts.length === 0 ? [RealDate.now() + shiftMs] : parts) as [number]));
    }
    static override now(): number {
      return RealDate.now() + shiftMs;
    }
  } as DateConstructor;
  console.log(JSON.stringify({ level: 40, msg: `the clock of this worker is wrong by ${shiftMs} ms` }));
}

function readShift(): number {
  try {
    return Number(readFileSync(join(process.env['SLUICE_DATA'] ?? '', 'clock-shift'), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
