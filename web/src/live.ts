import { useEffect, useState } from 'preact/hooks';
import type { PipelineStatus, Results } from './protocol.ts';

export type Live = {
  readonly status: PipelineStatus;
  readonly results: Results | undefined;
  readonly connected: boolean;
};

/** Longer than the server's heartbeat: nothing for so long means that the connection is dead. */
const silenceMs = 12_000;
const retryMs = 1_000;

/**
 * Follows a pipeline: what it does, what it has computed, and whether we still hear of it. Heals by itself. While the
 * page is hidden nothing is read; a browser has few connections to give.
 */
export function useLive(first: PipelineStatus): Live {
  const [live, setLive] = useState<Live>({ status: first, results: undefined, connected: false });
  const { name } = first;
  useEffect(() => {
    const take = (change: Partial<Live>) => setLive((before) => ({ ...before, ...change }));
    return follow(`/pipelines/${encodeURIComponent(name)}/live`, {
      heard: () => take({ connected: true }),
      lost: () => take({ connected: false }),
      status: (data) => take({ status: JSON.parse(data) as PipelineStatus }),
      results: (data) => take({ results: JSON.parse(data) as Results }),
    });
  }, [name]);
  return live;
}

type Listener = { heard(): void; lost(): void; status(data: string): void; results(data: string): void };

function follow(url: string, listener: Listener): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  };
  const reopen = () => {
    close();
    listener.lost();
    timer = setTimeout(open, retryMs);
  };
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(reopen, silenceMs);
    listener.heard();
  };
  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(url);
    timer = setTimeout(reopen, silenceMs);
    source.addEventListener('open', heard);
    source.addEventListener('heartbeat', heard);
    // an answer that is no event stream ends an EventSource for good, so we open a new one in every case
    source.addEventListener('error', reopen);
    source.addEventListener('status', ({ data }) => (heard(), listener.status(data as string)));
    source.addEventListener('results', ({ data }) => (heard(), listener.results(data as string)));
  };

  document.addEventListener('visibilitychange', open);
  open();
  return () => {
    document.removeEventListener('visibilitychange', open);
    close();
  };
}
