import type { PipelineState } from '../../core/pipeline-state.ts';

type Sick = { readonly name: string; readonly state: PipelineState | 'unreachable'; readonly reason: string | null };

/** Everything runs but these: why, what goes on by itself, and what to type. `typed`: a command as it is typed for this instance. */
export function sickSentence(pipelines: readonly Sick[], load: string | undefined, typed: (command: string) => string): string {
  const parked = pipelines.filter(({ state }) => state === 'parked');
  return [
    'Everything is up and stays so, but not every pipeline runs:',
    ...pipelines.map(({ name, state, reason }) => `  ${name} is ${state}${reason === null ? (state === 'loading' ? ': its first load goes on' : '') : `: ${reason}`}`),
    ...(load === undefined ? [] : [`It may only take longer: ${load}.`]),
    ...(parked.length === 0 ? [] : [`Mend what parked it, then type ${parked.map(({ name }) => typed(`resume ${name}`)).join(', ')}; after a change of the definition, ${typed('down')} and ${typed('up')}.`]),
    `See how it goes with ${typed('status')}, and stop with ${typed('down')}.`,
  ].join('\n');
}
