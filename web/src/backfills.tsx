import { useRef, useState } from 'preact/hooks';
import { BackfillForm } from './backfill-form.tsx';
import { BackfillRow } from './backfill-row.tsx';
import { useBackfills } from './watched-backfills.ts';

type Props = {
  readonly pipeline: string;
  /** Those that can be chosen. */
  readonly views: readonly string[];
  readonly connected: boolean;
};

/** The backfills of a pipeline, and what starts one. While there are none, only that. */
export function Backfills({ pipeline, views, connected }: Props) {
  const { shown, problem, lookNow } = useBackfills(pipeline, connected);
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const form = `${pipeline}-backfill`;
  const title = `${pipeline}-backfills`;
  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };
  return (
    <div class="backfills" {...(shown.length > 0 && { role: 'region', 'aria-labelledby': title })}>
      <div class="backfills-head">
        {shown.length > 0 && <h3 id={title}>Backfills</h3>}
        <span class="space" />
        <button
          ref={opener}
          class="plain"
          aria-expanded={isOpen}
          aria-controls={form}
          aria-label={`Backfill ${pipeline}`}
          title="Compute a time anew from the source"
          onClick={() => setOpen(!isOpen)}
        >
          Backfill…
        </button>
      </div>
      <div id={form} hidden={!isOpen}>
        {isOpen && (
          <BackfillForm
            pipeline={pipeline}
            views={views}
            onClose={close}
            onStarted={() => {
              close();
              lookNow();
            }}
          />
        )}
      </div>
      {problem !== undefined && (
        <p class="trouble" role="alert">
          How backfills are is not known: {problem}
        </p>
      )}
      {shown.length > 0 && (
        <ul>
          {shown.map(({ key, ...each }) => (
            <BackfillRow key={key} pipeline={pipeline} {...each} onAsked={lookNow} />
          ))}
        </ul>
      )}
    </div>
  );
}
