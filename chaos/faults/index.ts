import type { Fault } from '../fault.ts';
import { kills } from './kill.ts';
import { sourceFaults } from './source.ts';
import { temporalFaults } from './temporal.ts';
import { workerFaults } from './worker.ts';

/** Every fault of the laboratory, in the order in which the full run does them. */
export const faults: readonly Fault[] = [...kills, ...workerFaults, ...temporalFaults, ...sourceFaults];
