import { useEffect, useRef, useState } from 'preact/hooks';
import { isoOfInput, localInput, utc } from './format.ts';
import { startBackfill } from './requests.ts';

type Props = {
  readonly pipeline: string;
  readonly views: readonly string[];
  readonly onStarted: () => void;
  readonly onClose: () => void;
};

/** Starts a backfill. Times are those of here; what they are in UTC is said. */
export function BackfillForm({ pipeline, views, onStarted, onClose }: Props) {
  const [[from, to], setTimes] = useState(lastHalfHour);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [problem, setProblem] = useState<string>();
  const [starting, setStarting] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);

  const [fromIso, toIso] = [isoOfInput(from), isoOfInput(to)];
  const id = (part: string) => `${pipeline}-backfill-${part}`;
  const submit = (event: Event) => {
    event.preventDefault();
    if (fromIso === undefined || toIso === undefined || starting) return;
    setProblem(undefined);
    setStarting(true);
    startBackfill(pipeline, { from: fromIso, to: toIso, ...(chosen.length > 0 && { views: chosen }) })
      .then(onStarted, (error: Error) => setProblem(error.message))
      .finally(() => setStarting(false));
  };
  const choose = (view: string, isChosen: boolean) =>
    setChosen((before) => (isChosen ? [...before, view] : before.filter((each) => each !== view)));

  return (
    <form
      class="backfill-form"
      aria-label={`Backfill ${pipeline}`}
      onSubmit={submit}
      onKeyDown={({ key }) => key === 'Escape' && onClose()}
    >
      <div class="times">
        <label>
          From
          <input
            ref={first}
            type="datetime-local"
            required
            value={from}
            onInput={({ currentTarget }) => setTimes([currentTarget.value, to])}
            aria-describedby={`${id('utc')} ${id('problem')}`}
          />
        </label>
        <label>
          To
          <input
            type="datetime-local"
            required
            value={to}
            onInput={({ currentTarget }) => setTimes([from, currentTarget.value])}
            aria-describedby={`${id('utc')} ${id('problem')}`}
          />
        </label>
      </div>
      <p id={id('utc')} class="note">
        {fromIso !== undefined && toIso !== undefined && `${utc(fromIso)} to ${utc(toIso)} in UTC`}
      </p>
      {views.length > 1 && (
        <fieldset>
          <legend>Only these views, and no rows of destinations. None chosen: everything.</legend>
          {views.map((view) => (
            <label key={view}>
              <input
                type="checkbox"
                checked={chosen.includes(view)}
                onChange={({ currentTarget }) => choose(view, currentTarget.checked)}
              />
              {view}
            </label>
          ))}
        </fieldset>
      )}
      <p id={id('problem')} class="trouble" role="alert">
        {problem}
      </p>
      <div class="line">
        <button class="primary" aria-busy={starting}>
          Start backfill
        </button>
        <button type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </form>
  );
}

/** Windows of the last minute may be open still. */
function lastHalfHour(): readonly [string, string] {
  const toMs = Math.floor(Date.now() / 60_000 - 1) * 60_000;
  return [localInput(toMs - 30 * 60_000), localInput(toMs)];
}
