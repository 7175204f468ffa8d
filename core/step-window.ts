/** The part of the clock's grid that a step covers: steps of all lanes begin and end together (E27). Milliseconds. */
export type StepWindow = { readonly startMs: number; readonly endMs: number };

/** The window at `nowMs`. What is left of a grid cell that is nearly over is joined to the next one. */
export function stepWindow(nowMs: number, stepMs: number): StepWindow {
  const next = (Math.floor(nowMs / stepMs) + 1) * stepMs;
  const endMs = next - nowMs < stepMs / 5 ? next + stepMs : next;
  return { startMs: endMs - stepMs, endMs };
}

/** `12:00:10-12:00:20`, in UTC. */
export function windowText({ startMs, endMs }: StepWindow): string {
  return `${clock(startMs)}-${clock(endMs)}`;
}

/** Tenths of a second only where there are some. */
function clock(ms: number): string {
  return new Date(ms).toISOString().slice(11, ms % 1000 === 0 ? 19 : 23);
}
