import { useRef, useState } from 'preact/hooks';
import { doneShare, isGoingOn, type Pace } from './backfill-pace.ts';
import { duration, number, percent, range as rangeText } from './format.ts';
import type { Backfill } from './protocol.ts';
import { changeBackfill, type BackfillVerb } from './requests.ts';
import { StateChip } from './state-chip.tsx';

type Props = {
  readonly pipeline: string;
  readonly backfill: Backfill;
  readonly pace: Pace;
  /** It was told something that shows soon. */
  readonly onAsked: () => void;
};

export function BackfillRow({ pipeline, backfill, pace, onAsked }: Props) {
  const { range, state, views, sinks, from, to, workflowUrl, error } = backfill;
  const [problem, setProblem] = useState<string>();
  const row = useRef<HTMLLIElement>(null);
  const goesOn = isGoingOn(backfill);
  const name = rangeText(from, to, Date.now());
  const verb = state === 'paused' ? 'resume' : 'pause';

  const ask = (asked: BackfillVerb) => {
    setProblem(undefined);
    // its buttons go away with it
    if (asked === 'cancel') row.current?.focus();
    changeBackfill(pipeline, range, asked)
      .catch((refusal: Error) => setProblem(refusal.message))
      .finally(onAsked);
  };
  return (
    <li class="backfill" ref={row} tabIndex={-1} data-range={range} aria-label={`Backfill of ${name}`}>
      <div class="backfill-head">
        <span class="range" title={`${range} (UTC)`}>
          {name}
        </span>
        <StateChip state={state} />
        <span class="space" />
        {workflowUrl !== null && (
          <a href={workflowUrl} target="_blank" rel="noreferrer" aria-label={`Backfill of ${name} in Temporal`}>
            Temporal <span aria-hidden="true">↗</span>
          </a>
        )}
        {goesOn && (
          <>
            <button
              onClick={() => ask(verb)}
              aria-label={`${verb === 'pause' ? 'Pause' : 'Resume'} backfill of ${name}`}
            >
              {verb === 'pause' ? 'Pause' : 'Resume'}
            </button>
            <button onClick={() => ask('cancel')} aria-label={`Cancel backfill of ${name}`} title="What is done stays">
              Cancel
            </button>
          </>
        )}
      </div>
      {state !== 'done' && <Progress share={doneShare(backfill)} label={`Backfill of ${name}`} />}
      <p class="note">
        <span class="what">{[...views, ...sinks].join(', ')}</span> <span class="far">{far(backfill, pace)}</span>
      </p>
      {[error, problem].map(
        (sentence) =>
          sentence && (
            <p key={sentence} class="trouble" role={sentence === problem ? 'alert' : undefined}>
              {sentence}
            </p>
          ),
      )}
    </li>
  );
}

function Progress({ share, label }: { readonly share: number; readonly label: string }) {
  return (
    <div class="progress">
      <span
        class="meter"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.floor(share * 100)}
      >
        <span class="fill" style={{ transform: `scaleX(${share})` }} />
      </span>
      <span class="amount" aria-hidden="true">
        {percent(share)}
      </span>
    </div>
  );
}

/** How far, how fast, how long still, and what it does. */
function far(backfill: Backfill, { rowsPerSecond, leftMs }: Pace): string {
  const { rows, phase } = backfill;
  const parts = [
    `${number(rows)} ${rows === 1 ? 'row' : 'rows'} read`,
    rowsPerSecond !== null && `${number(rowsPerSecond)}/s`,
    leftMs !== null && `about ${duration(Math.max(1, Math.round(leftMs / 1_000)) * 1_000)} left`,
    isGoingOn(backfill) && phase,
  ];
  return parts.filter(Boolean).join(' · ');
}
