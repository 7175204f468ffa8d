import { useEffect, useState } from 'preact/hooks';
import { Backfills } from './backfills.tsx';
import { Boards } from './boards.tsx';
import { Lanes } from './lanes.tsx';
import { useLive } from './live.ts';
import { Migration } from './migration.tsx';
import type { PipelineStatus, Results } from './protocol.ts';
import { ReconcileLine } from './reconcile-line.tsx';
import { change } from './requests.ts';
import { StateChip } from './state-chip.tsx';
import { Vitals } from './vitals.tsx';

type Props = { readonly first: PipelineStatus; readonly onConnection: (name: string, connected: boolean) => void };

/** One pipeline: what it does, what it has computed, and the buttons that stop it and let it go on. */
export function PipelineCard({ first, onConnection }: Props) {
  const { status, results, connected } = useLive(first);
  const [problem, setProblem] = useState<string>();
  const { name } = status;
  useEffect(() => onConnection(name, connected), [name, connected]);

  const ask = (verb: 'pause' | 'resume', lane?: string) => {
    setProblem(undefined);
    change(name, verb, lane).catch((error: Error) => setProblem(error.message));
  };
  const source = status.slot !== null && status.slot.alarm !== 'none' ? `${status.slot.alarm}: ${status.slot.sentence}` : undefined;
  const troubles = [problem, status.reason, source].filter((each) => each !== undefined && each !== null);
  const stopped = status.state === 'paused' || status.state === 'parked' || status.state === 'draining';

  return (
    <section class={`card pipeline${connected ? '' : ' stale'}`} aria-labelledby={`${name}-title`} data-pipeline={name}>
      <header>
        <h2 id={`${name}-title`}>{name}</h2>
        <StateChip state={status.state} />
        <span class="space" />
        {status.workflowUrl !== null && (
          <a href={status.workflowUrl} target="_blank" rel="noreferrer">
            Run in Temporal <span aria-hidden="true">↗</span>
          </a>
        )}
        {stopped ? (
          <button class="primary" onClick={() => ask('resume')} aria-label={`Resume ${name}`}>
            Resume
          </button>
        ) : (
          <button onClick={() => ask('pause')} aria-label={`Pause ${name}`}>
            Pause
          </button>
        )}
      </header>
      {troubles.map((sentence) => (
        <p key={sentence} class="banner" role="alert">
          {sentence}
        </p>
      ))}
      <Vitals status={status} />
      <Boards pipeline={name} boards={results?.boards} />
      <Lanes
        lanes={status.capture === null ? status.lanes : [status.capture, ...status.lanes]}
        stopped={stopped && status.state !== 'parked'}
        onAsk={ask}
      />
      {status.capture?.state === 'migrating' && <Migration pipeline={name} />}
      {status.reconciled !== null && <ReconcileLine reconciled={status.reconciled} />}
      <Backfills pipeline={name} views={viewsOf(status, results)} connected={connected} />
    </section>
  );
}

/** Those of which the page hears: rolling ones have no windows that end, others may be published nowhere. */
function viewsOf({ openWindows }: PipelineStatus, results: Results | undefined): readonly string[] {
  return [...new Set([...(results?.boards ?? []), ...openWindows].map(({ view }) => view))];
}
