import { useState } from 'preact/hooks';
import { duration, time } from './format.ts';
import type { Board } from './protocol.ts';
import { Ranking } from './ranking.tsx';

type Props = { readonly pipeline: string; readonly boards: readonly Board[] | undefined };

/** The rankings of a pipeline, one shown at a time; tabs when there are several. */
export function Boards({ pipeline, boards }: Props) {
  const [chosen, setChosen] = useState<string>();
  const board = boards?.find(({ view }) => view === chosen) ?? boards?.[0];
  if (boards === undefined) return <div class="board empty" aria-busy="true" />;
  if (board === undefined) return <p class="board none">This pipeline publishes no ranking.</p>;
  const panel = `${pipeline}-board`;
  return (
    <div class="board">
      <div class="board-head">
        <h3 class={boards.length > 1 ? 'unseen' : ''}>{title(board)}</h3>
        {boards.length > 1 && (
          <div class="tabs" role="tablist" aria-label={`Rankings of ${pipeline}`} onKeyDown={moveBetweenTabs}>
            {boards.map((each) => (
              <button
                key={each.view}
                role="tab"
                id={`${panel}-${each.view}`}
                aria-selected={each === board}
                aria-controls={panel}
                tabIndex={each === board ? 0 : -1}
                onClick={() => setChosen(each.view)}
              >
                {title(each)}
              </button>
            ))}
          </div>
        )}
        <span class="when">{when(board)}</span>
      </div>
      <div id={panel} {...(boards.length > 1 ? { role: 'tabpanel', 'aria-labelledby': `${panel}-${board.view}` } : {})}>
        {board.problem !== null && (
          <p class="banner" role="alert">
            {board.problem}
          </p>
        )}
        <Ranking key={board.view} board={board} label={`${title(board)} of ${pipeline}`} />
      </div>
    </div>
  );
}

function title({ view, window }: Board): string {
  switch (window.kind) {
    case 'rolling':
      return `Top, last ${duration(window.sizeMs)}`;
    case 'hopping':
      return `${capital(view)}, ${duration(window.sizeMs)} each ${duration(window.everyMs)}`;
    case 'tumbling':
      return `${capital(view)}, ${duration(window.sizeMs)}`;
  }
}

function when({ start, end, revision, measure }: Board): string {
  if (start === null || end === null) return 'no window yet';
  const revised = revision !== null && revision > 1 ? `, revision ${revision}` : '';
  return `by ${measure}, ${time(start)} – ${time(end)}${revised}`;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function moveBetweenTabs(event: KeyboardEvent): void {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  const tabs = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLButtonElement>('[role=tab]')];
  const next = tabs[(tabs.indexOf(event.target as HTMLButtonElement) + step + tabs.length) % tabs.length];
  next?.focus();
  next?.click();
}
