import { duration } from './format.ts';
import { useNow } from './now.ts';
import type { PipelineStatus } from './protocol.ts';
import { StateChip } from './state-chip.tsx';

/** What the last reconcile found, and when. */
export function ReconcileLine({ reconciled }: { readonly reconciled: NonNullable<PipelineStatus['reconciled']> }) {
  const { state, ended, sentence, workflowUrl } = reconciled;
  const now = useNow(10_000);
  return (
    <p class="reconciled" data-state={state}>
      <StateChip state={state} />
      <span>
        Reconciled {duration(Math.max(0, now - Date.parse(ended)))} ago: {sentence}
      </span>
      {workflowUrl !== null && (
        <a href={workflowUrl} target="_blank" rel="noreferrer" aria-label="Reconcile in Temporal">
          Temporal <span aria-hidden="true">↗</span>
        </a>
      )}
    </p>
  );
}
