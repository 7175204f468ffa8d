import { pause } from '../../core/clock.ts';
import { lostNote, lostViews } from '../../core/migration/lost.ts';
import type { SinkDefinition } from '../../core/pipeline.ts';
import { mostNamed, type Compared } from '../../core/reconcile.ts';
import { boundsAt } from '../../core/views/watermark.ts';
import { checkRedisResults, RelayElsewhere } from '../verification/check-redis-results.ts';
import { showVersions } from '../verification/dimensions.ts';
import { shardOf } from '../verification/verify-pipeline.ts';
import { makeExpectedWindows, readAggregateNow, viewOf } from '../verification/windows.ts';
import { compareLive } from './compare-live.ts';
import { asOfOneMoment } from './marked.ts';
import { nothing, unlessAway, type Place } from './place.ts';

/** The sinks that show only the present. `found`: what their panes were found to be. */
export async function compareNow(place: Place, found: readonly Compared[]): Promise<readonly Compared[]> {
  const compared: Compared[] = [];
  for (const [lane, sink] of Object.entries(place.pipeline.sinks)) {
    if (sink.kind !== 'redis-live' && sink.kind !== 'redis-results') continue;
    const what = sink.kind === 'redis-live' ? `members of ${sink.key}` : `newest window in ${sink.key}`;
    if (lostViews(place.pipeline).has(sink.view)) compared.push({ ...nothing(lane, what), note: lostNote });
    else if (await overWrongPanes(place, sink.view, found)) compared.push({ ...nothing(lane, what), note: 'panes that it is made of differ, and it follows from them' });
    else compared.push(await unlessAway(place, lane, what, () => (sink.kind === 'redis-live' ? compareLive(place, lane, sink) : compareShown(place, lane, sink))));
  }
  return compared;
}

async function overWrongPanes({ database, pipeline }: Place, view: string, found: readonly Compared[]): Promise<boolean> {
  const wrong = found.flatMap(({ mend, differing }) => (mend.tag === 'views' && mend.views.includes(view) ? differing : []));
  if (wrong.length === 0) return false;
  const { set, paneView } = viewOf(pipeline, view);
  const { closesUpToMs } = boundsAt(await readAggregateNow(database, pipeline.name), set.paneMs, pipeline.settings);
  return wrong.some(({ toMs }) => toMs > closesUpToMs - paneView.window.sizeMs);
}

/** What Redis shows is compared with what was said up to its own fence: as soon as nothing is on its way there. */
async function compareShown(place: Place, lane: string, definition: Extract<SinkDefinition, { kind: 'redis-results' }>): Promise<Compared> {
  const { clock, signal } = place;
  for (const sinceMs = clock.steady(); ; await pause(clock, lookMs, signal)) {
    signal.throwIfAborted();
    try {
      return await lookAtShown(place, lane, definition);
    } catch (error) {
      if (!(error instanceof RelayElsewhere)) throw error;
      if (clock.steady() - sinceMs > longestMs) return { ...nothing(lane, `newest window in ${definition.key}`), problem: `Lane ${lane} does not follow what is said: it is paused or parked, or behind. See ./sluice status.` };
    }
  }
}

const lookMs = 100;
const longestMs = 30_000;

async function lookAtShown({ database, pipeline, addresses, signal }: Place, lane: string, definition: Extract<SinkDefinition, { kind: 'redis-results' }>): Promise<Compared> {
  const { view, key } = definition;
  const { everyMs } = pipeline.views[view]!.window;
  await database.query('discard temp');
  const { loadedAt } = await shardOf(database, pipeline.name);
  const { checks, endMs } = await asOfOneMoment(database, async () => {
    const aggregate = await readAggregateNow(database, pipeline.name);
    const { rows: [newest] } = await database.query<{ end: string | null }>("select max((message ->> 'windowEndMs')::bigint) as end from sluice.outbox where pipeline = $1 and view = $2", [pipeline.name, view]);
    const end = Number(newest!.end ?? 0);
    await showVersions(database, pipeline);
    await makeExpectedWindows(database, pipeline, aggregate, { views: [view], range: { fromMs: end - everyMs, toMs: end } });
    return { checks: await checkRedisResults(database, pipeline, lane, definition, addresses.redisUrl, aggregate, loadedAt, signal, aggregate.outboxSeq), endMs: end };
  });
  const differs = checks.some(({ equal }) => !equal);
  return {
    ...nothing(lane, `newest window in ${key}`),
    windows: 1,
    different: differs ? 1 : 0,
    // by its last pane
    differing: differs ? [{ fromMs: endMs - everyMs, toMs: endMs }] : [],
    differences: checks.flatMap(({ differences }) => differences).slice(0, mostNamed),
    mend: { tag: 'say', view },
  };
}

