import { randomUUID } from 'node:crypto';
import { lostNote, lostViews } from '../../core/migration/lost.ts';
import type { SinkDefinition } from '../../core/pipeline.ts';
import { position, type Position } from '../../core/position.ts';
import { bothCompared, mostNamed, type Compared } from '../../core/reconcile.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { paneSetsOf } from '../../core/views/pane-sets.ts';
import { within } from '../postgres/backfill-estimate.ts';
import { quote } from '../postgres/source-catalog.ts';
import { comparePanes, panesWithAside } from '../verification/check-panes.ts';
import { explained, readLetters, type LaneLetters } from '../verification/dead-letters.ts';
import { showVersions, sourceTable } from '../verification/dimensions.ts';
import { NotComparable } from '../verification/not-comparable.ts';
import { makeSourcePanes } from '../verification/pane-sql.ts';
import { SourceSnapshot } from '../verification/source-snapshot.ts';
import { shardOf } from '../verification/verify-pipeline.ts';
import { compareRowsNow } from './compare-rows.ts';
import { compareCopiedResults, copyResults } from './compare-results.ts';
import { laneAt } from './lane-at.ts';
import { asOfOneMoment, readMarked } from './marked.ts';
import { comparedOf, nothing, statementMs, unlessAway, type Place } from './place.ts';

/** For the source's running write transactions to end. */
const waitMs = 60_000;

/**
 * Compares a range of whole panes, closed ones, while the stream goes on: what changes in them is kept from before a snapshot
 * of the source is taken, so once the lane has passed it, panes less what was kept from there on are what they were there
 * (E18), and rows say their position themselves. Throws BadInput while a backfill computes it, Again, NotComparable.
 * `found`: of ranges before it. `ends`: only results of windows that end there. What was compared stays in the temporary tables.
 */
export async function compareRange(place: Place, range: PaneRange, found: readonly Compared[], ends: PaneRange = range): Promise<{ readonly compared: readonly Compared[]; readonly rows: number }> {
  const { database, pipeline, panes, name, onPhase } = place;
  const compares = randomUUID();
  // of one window it may be a part of another set's pane
  const sets = paneSetsOf(pipeline).filter(({ paneMs }) => range.fromMs % paneMs === 0 && range.toMs % paneMs === 0);
  await panes.markCompared(name, compares, range);
  const { epoch, loadedAt } = await shardOf(database, pipeline.name);
  const { base, rows } = await readSource(place, range, epoch);
  await laneAt('aggregate', () => panes.readFence(), base, place);
  onPhase('comparing');
  const letters = await asOfOneMoment(database, async () => {
    const aggregate = await readMarked(database, pipeline.name, compares, base);
    const all = await readLetters(database, pipeline, base);
    for (const set of sets) await database.query(`create temporary table ${quote(panesTable(set))} as ${panesWithAside(pipeline, set, { range, base })}`);
    await copyResults(database, pipeline, ends, aggregate);
    return all;
  });
  await showVersions(database, pipeline);

  const compared: Compared[] = [];
  const lost = lostViews(pipeline);
  for (const set of sets) {
    if (set.views.some((view) => lost.has(view.name))) {
      compared.push({ ...nothing('aggregate', `panes of ${set.views.map((view) => view.name).join(', ')}`), note: lostNote });
      continue;
    }
    await makeSourcePanes(database, pipeline, set);
    const check = await comparePanes(database, set, `select * from pg_temp.${quote(panesTable(set))}`, 'true', { listed: mostNamed, windowOf: (alias) => `${alias}.pane_ms` });
    compared.push(comparedOf(explained(check, pipeline.name, 'aggregate', letters.get('aggregate')), (range.toMs - range.fromMs) / set.paneMs, set.paneMs, { tag: 'views', views: set.views.map((view) => view.name) }));
  }
  for (const [lane, sink] of Object.entries(pipeline.sinks)) compared.push(...(await compareSink(place, range, { lane, sink, base, loadedAt, letters, ends, found: bothCompared(found, compared) })));
  return { compared, rows };
}

type OfSink = { readonly lane: string; readonly sink: SinkDefinition; readonly base: Position; readonly loadedAt: Position; readonly letters: ReadonlyMap<string, LaneLetters>; readonly ends: PaneRange; readonly found: readonly Compared[] };

/** Those that show only the present are compared by themselves: compare-now.ts. */
async function compareSink(place: Place, range: PaneRange, { lane, sink, base, loadedAt, letters, ends, found }: OfSink): Promise<readonly Compared[]> {
  switch (sink.kind) {
    case 'postgres-results':
      if (lostViews(place.pipeline).has(sink.view)) return [{ ...nothing(lane, `view ${sink.view}`), note: lostNote }];
      return [await compareCopiedResults(place.database, place.pipeline, lane, sink, { range: ends, loadedAt, found })];
    case 'clickhouse':
      return [await unlessAway(place, lane, `rows of ${sink.table}`, () => compareRowsNow(place, range, { lane, definition: sink, base, letters: letters.get(lane) }))];
    case 'http':
      return [{ ...nothing(lane, 'events'), note: 'not comparable without its receiver; ./sluice verify asks the one that comes with Sluice' }];
    default:
      return [];
  }
}

/** The temporary table of a set's panes as they were at the snapshot. */
export function panesTable({ name }: { readonly name: string }): string {
  return `panes of ${name}`;
}

/** The source's rows of a range as they were at a place of the stream, in their temporary table. */
async function readSource({ database, pipeline, addresses, panes, signal, onPhase }: Place, range: PaneRange, epoch: number): Promise<{ readonly base: Position; readonly rows: number }> {
  const fence = await panes.readFence();
  await database.query('discard temp');
  onPhase('waiting for running write transactions of the source');
  const snapshot = await SourceSnapshot.take(addresses.sourceUrl, pipeline, waitMs, statementMs);
  try {
    const base = position(epoch, snapshot.consistentPoint, 0);
    if (fence !== undefined && base < fence) throw new NotComparable(`The source of ${pipeline.name} is at ${base}, before ${fence}, which was applied already: it was put back to an earlier time. See ./sluice status.`);
    onPhase('reading');
    await snapshot.copy(pipeline.source.events, database, sourceTable('events'), signal, within(pipeline, range));
    const { rows } = await database.query<{ count: string }>(`select count(*) as count from pg_temp.${quote(sourceTable('events'))}`);
    return { base, rows: Number(rows[0]!.count) };
  } finally {
    await snapshot.close();
  }
}
