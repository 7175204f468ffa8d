import { useEffect, useState } from 'preact/hooks';
import { Connection } from './connection.tsx';
import { PipelineCard } from './pipeline-card.tsx';
import type { PipelineStatus } from './protocol.ts';
import { listPipelines, TokenNeeded } from './requests.ts';
import { TokenForm } from './token-form.tsx';

type Page =
  | { readonly tag: 'opening' }
  | { readonly tag: 'locked' }
  | { readonly tag: 'unreachable'; readonly why: string }
  | { readonly tag: 'open'; readonly pipelines: readonly PipelineStatus[] };

export function App() {
  const [page, setPage] = useState<Page>({ tag: 'opening' });
  const [attempt, setAttempt] = useState(0);
  const [silent, setSilent] = useState<ReadonlySet<string>>(new Set());
  const again = () => setAttempt((before) => before + 1);

  useEffect(() => {
    const aborted = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    listPipelines(aborted.signal).then(
      (pipelines) => setPage({ tag: 'open', pipelines }),
      (error: Error) => {
        if (aborted.signal.aborted) return;
        if (error instanceof TokenNeeded) return setPage({ tag: 'locked' });
        setPage({ tag: 'unreachable', why: error.message });
        retry = setTimeout(again, 2_000);
      },
    );
    return () => {
      aborted.abort();
      clearTimeout(retry);
    };
  }, [attempt]);

  const onConnection = (name: string, connected: boolean) =>
    setSilent((before) => {
      if (before.has(name) !== connected) return before;
      return new Set(connected ? [...before].filter((each) => each !== name) : [...before, name]);
    });

  return (
    <>
      <header class="top">
        <h1>
          <Mark /> Sluice
        </h1>
        <Connection
          state={page.tag === 'unreachable' || silent.size > 0 ? 'lost' : page.tag === 'open' ? 'live' : 'opening'}
        />
      </header>
      <main class="pipelines">
        {page.tag === 'locked' && <TokenForm onSignedIn={again} />}
        {page.tag === 'unreachable' && (
          <p class="banner" role="alert">
            The API cannot be reached ({page.why}). Trying again.
          </p>
        )}
        {page.tag === 'open' &&
          page.pipelines.map((each) => <PipelineCard key={each.name} first={each} onConnection={onConnection} />)}
      </main>
    </>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M6 12c3.3 0 3.3 2.5 6.7 2.5S16 12 19.3 12s3.3 2.5 6.7 2.5M6 19c3.3 0 3.3 2.5 6.7 2.5S16 19 19.3 19s3.3 2.5 6.7 2.5" />
    </svg>
  );
}
