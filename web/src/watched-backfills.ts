import { useEffect, useState } from 'preact/hooks';
import { backfillKey, isGoingOn, pace, paceBase, shownBackfills, type Pace, type PaceBase } from './backfill-pace.ts';
import type { Backfill } from './protocol.ts';
import { listBackfills } from './requests.ts';

export type WatchedBackfill = { readonly key: string; readonly backfill: Backfill; readonly pace: Pace };
export type WatchedBackfills = {
  readonly shown: readonly WatchedBackfill[];
  /** Why they could not be read. */
  readonly problem: string | undefined;
  /** Looks at once, and often for a while: somebody has asked for something. */
  lookNow(): void;
};

const quickMs = 1_500;
const slowMs = 30_000;
/** What was asked for shows within it. */
const settleMs = 10_000;

type Seen = { readonly shown: readonly WatchedBackfill[]; readonly problem: string | undefined };

/**
 * The backfills of a pipeline. They are asked for, as each answer costs the API a question to every one of them: often
 * while one goes on, else rarely, and not at all while nobody sees the page or it has lost the API.
 */
export function useBackfills(pipeline: string, connected: boolean): WatchedBackfills {
  const [seen, setSeen] = useState<Seen>({ shown: [], problem: undefined });
  const [asked, setAsked] = useState(0);
  const [bases] = useState(() => new Map<string, PaceBase>());

  useEffect(() => {
    if (!connected) return;
    const take = (backfills: readonly Backfill[]) =>
      setSeen({ shown: watched(shownBackfills(backfills), bases), problem: undefined });
    const failed = (problem: string) => setSeen((before) => ({ ...before, problem }));
    return watch(pipeline, asked > 0 ? Date.now() + settleMs : 0, take, failed);
  }, [pipeline, connected, asked]);
  return { ...seen, lookNow: () => setAsked((before) => before + 1) };
}

function watch(
  pipeline: string,
  quickUntilMs: number,
  take: (backfills: readonly Backfill[]) => void,
  failed: (problem: string) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: AbortController | undefined;
  let goesOn = false;

  const close = () => {
    clearTimeout(timer);
    running?.abort();
  };
  const look = async () => {
    close();
    if (document.hidden) return;
    const { signal } = (running = new AbortController());
    try {
      const backfills = await listBackfills(pipeline, signal);
      goesOn = backfills.some(isGoingOn);
      take(backfills);
    } catch (error) {
      if (!signal.aborted) failed((error as Error).message);
    }
    if (!signal.aborted) timer = setTimeout(look, goesOn || Date.now() < quickUntilMs ? quickMs : slowMs);
  };

  document.addEventListener('visibilitychange', look);
  void look();
  return () => {
    document.removeEventListener('visibilitychange', look);
    close();
  };
}

function watched(backfills: readonly Backfill[], bases: Map<string, PaceBase>): readonly WatchedBackfill[] {
  const nowMs = Date.now();
  const shown = backfills.map((backfill) => {
    const key = backfillKey(backfill);
    const base = paceBase(bases.get(key), backfill, nowMs);
    bases.set(key, base);
    return { key, backfill, pace: pace(base, backfill, nowMs) };
  });
  for (const key of bases.keys()) if (!shown.some((each) => each.key === key)) bases.delete(key);
  return shown;
}
