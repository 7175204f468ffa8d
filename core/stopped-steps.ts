/**
 * A step as the run of the workflow that began it can stop it without a heartbeat. Steps of all parts are numbered together,
 * from 1 in each run: a run that follows another, or that an operator has reset, has an id of its own and means no other's.
 */
export type NumberedStep = { readonly run: string; readonly part: string; readonly number: number };

/** What runs have stopped: of each run and part the newest step, and with it all before. */
export type StoppedSteps = readonly NumberedStep[];

/** A step that a later one of its part has followed was stopped too: the rows say no more of it. */
export function isStopped(step: NumberedStep, stopped: StoppedSteps): boolean {
  return stopped.some(({ run, part, number }) => run === step.run && part === step.part && number >= step.number);
}
