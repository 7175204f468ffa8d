const tones: Readonly<Record<string, string>> = {
  running: 'good',
  equal: 'good',
  repaired: 'good',
  different: 'bad',
  incomplete: 'busy',
  loading: 'busy',
  draining: 'busy',
  held: 'busy',
  migrating: 'busy',
  changing: 'busy',
  waiting: 'busy',
  paused: 'quiet',
  parked: 'bad',
  broken: 'bad',
  failed: 'bad',
  unreachable: 'bad',
};

/** The state in words; its colour only repeats them. */
export function StateChip({ state }: { readonly state: string }) {
  return (
    <span class={`chip ${tones[state] ?? 'quiet'}`}>
      <span class="dot" aria-hidden="true" />
      {state}
    </span>
  );
}
