import { duration } from './format.ts';
import type { Lane } from './protocol.ts';
import { StateChip } from './state-chip.tsx';

type Props = {
  readonly lanes: readonly Lane[];
  /** While the whole pipeline is stopped no lane can go on by itself. */
  readonly stopped: boolean;
  readonly onAsk: (verb: 'pause' | 'resume', lane: string) => void;
};

/** Beyond this a lane's bar is full. */
const fullLagMs = 60_000;
const highLagMs = 10_000;

export function Lanes({ lanes, stopped, onAsk }: Props) {
  if (lanes.length === 0) return null;
  return (
    <table class="lanes">
      <thead>
        <tr>
          <th scope="col">Lane</th>
          <th scope="col">State</th>
          <th scope="col">Lag</th>
          <th scope="col">
            <span class="unseen">Pause or resume</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {lanes.map((lane) => (
          <LaneRow key={lane.name} lane={lane} disabled={stopped} onAsk={onAsk} />
        ))}
      </tbody>
    </table>
  );
}

function LaneRow({
  lane,
  disabled,
  onAsk,
}: {
  readonly lane: Lane;
  readonly disabled: boolean;
  readonly onAsk: Props['onAsk'];
}) {
  const { name, kind, state, lagMs, fence, deadLetters, error } = lane;
  const stopped = state === 'paused' || state === 'parked' || state === 'broken';
  const verb = stopped ? 'resume' : 'pause';
  return (
    <tr data-lane={name}>
      <th scope="row">
        {name} {kind !== name && <span class="kind">{kind}</span>}
        {deadLetters > 0 && <p class="trouble">{deadLetters === 1 ? '1 dead letter waits' : `${deadLetters} dead letters wait`}: sluice dlq list</p>}
        {error !== null && <p class="trouble">{error}</p>}
      </th>
      <td>
        <StateChip state={state} />
      </td>
      <td class="lag" title={fence === null ? undefined : `Fence ${fence}`}>
        <span class="amount">{lagMs === null ? '–' : duration(lagMs)}</span>
        <span class="meter" aria-hidden="true">
          <span
            class={lagMs !== null && lagMs > highLagMs ? 'fill high' : 'fill'}
            style={{ transform: `scaleX(${share(lagMs)})` }}
          />
        </span>
      </td>
      <td>
        <button
          class="icon"
          disabled={disabled}
          onClick={() => onAsk(verb, name)}
          aria-label={`${verb === 'pause' ? 'Pause' : 'Resume'} lane ${name}`}
          title={`${verb} this lane`}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d={stopped ? 'M5 3.5v9l7.5-4.5z' : 'M4.5 3.5h2.5v9h-2.5zM9 3.5h2.5v9h-2.5z'} />
          </svg>
        </button>
      </td>
    </tr>
  );
}

/** Logarithmic: 0.1 s is seen, a minute is full. */
function share(lagMs: number | null): number {
  if (lagMs === null) return 0;
  return Math.min(1, Math.log1p(lagMs / 100) / Math.log1p(fullLagMs / 100));
}
