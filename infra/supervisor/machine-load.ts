import { availableParallelism, loadavg } from 'node:os';

/** How many want to run and how many can, if that is why something takes long; undefined: it is not. */
export function overload(load = loadavg()[0]!, processors = availableParallelism()): string | undefined {
  return load > processors ? `the machine's load is ${load.toFixed(1)} on ${processors} processor${processors === 1 ? '' : 's'}` : undefined;
}
