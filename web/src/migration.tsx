import { useEffect, useState } from 'preact/hooks';
import type { Migration as MigrationOf } from './protocol.ts';
import { decideMigration, listMigrations } from './requests.ts';
import { StateChip } from './state-chip.tsx';

const lookMs = 2_000;

/** The change of the source's columns at which a pipeline's capture stands: what it means, and the two ways to go on. */
export function Migration({ pipeline }: { readonly pipeline: string }) {
  const [migration, setMigration] = useState<MigrationOf>();
  const [problem, setProblem] = useState<string>();

  useEffect(() => {
    const left = new AbortController();
    const look = () =>
      listMigrations(pipeline, left.signal).then(
        ([newest]) => setMigration(newest),
        (error: Error) => !left.signal.aborted && setProblem(error.message),
      );
    void look();
    const timer = setInterval(look, lookMs);
    return () => {
      clearInterval(timer);
      left.abort();
    };
  }, [pipeline]);

  const decide = (decision: 'approve' | 'reject') => {
    setProblem(undefined);
    decideMigration(pipeline, migration!.number, decision).catch((error: Error) => setProblem(error.message));
  };
  if (!migration) return null;
  const { number, state, text, changes, error, workflowUrl } = migration;
  return (
    <div class="migration" role="region" aria-label={`Migration ${number} of ${pipeline}`}>
      <div class="backfill-head">
        <h3>The source's columns have changed</h3>
        <StateChip state={state} />
        <span class="space" />
        {workflowUrl !== null && (
          <a href={workflowUrl} target="_blank" rel="noreferrer" aria-label={`Migration ${number} in Temporal`}>
            Temporal <span aria-hidden="true">↗</span>
          </a>
        )}
        {state === 'waiting' && (
          <>
            <button class="primary" onClick={() => decide('approve')} aria-label={`Approve migration ${number}`}>
              Approve
            </button>
            <button onClick={() => decide('reject')} aria-label={`Reject migration ${number}`}>
              Reject
            </button>
          </>
        )}
      </div>
      <pre>{text ?? changes.join('\n')}</pre>
      {[error, problem].map(
        (sentence) =>
          sentence && (
            <p key={sentence} class="trouble" role="alert">
              {sentence}
            </p>
          ),
      )}
    </div>
  );
}
