import type { Fault } from '../fault.ts';
import { kills } from './kill.ts';

/** Every fault of the laboratory, in the order in which the full run does them. */
export const faults: readonly Fault[] = [...kills];
