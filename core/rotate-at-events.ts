/**
 * A worker that takes a pipeline over replays its history, half a millisecond of CPU an event: the 4,000 at which Temporal
 * suggests a fresh run took longer, on a busy machine, than a workflow task may (10 s), and so for ever.
 */
export const rotateAtEvents = 1_500;
