/** One look at what must not grow. */
export type Sample = {
  readonly atSeconds: number;
  readonly workerMiB: number;
  readonly spoolMiB: number;
  readonly slotLagMiB: number;
};

/** Middle of the values in the second and in the last fifth of the time; the first is for what fills up once. */
export function growth(samples: readonly Sample[], of: (sample: Sample) => number): { readonly early: number; readonly late: number; readonly ratio: number } {
  const fifth = samples.length / 5;
  const middle = (from: number, to: number) => {
    const sorted = samples.slice(Math.floor(from * fifth), Math.ceil(to * fifth)).map(of).toSorted((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
  };
  const [early, late] = [middle(1, 2), middle(4, 5)];
  return { early, late, ratio: late / early };
}
