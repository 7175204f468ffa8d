/** What to type when only a new first load helps. The epoch rises with it, so nothing of the old stream counts any more. */
export function loadAnew(pipeline: string): string {
  return `Load the pipeline anew: ./sluice recover ${pipeline}`;
}
