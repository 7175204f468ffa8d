import type { OutboxMessage } from '../../connectors/relay.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { paneMs, publishedViews } from './pipeline.ts';
import { resultOf, shownPanes, type Sums } from './shown.ts';
import type { Committed } from './source-server.ts';

export type ExpectedRow = { readonly position: Position; readonly row: Readonly<Record<string, string | null>> };
export type ExpectedEvent = { readonly op: 'insert' | 'update' | 'delete' | 'truncate'; readonly key: string | null };
type Delta = { readonly pane: number; readonly key: string; readonly count: number; readonly points: number; readonly value: number | null };

/** What a stream comes to, by the plainest fold: one transaction after another, nothing kept in columns, panes looked at whole. */
export type Expected = {
  /** Every event of the event table. */
  readonly events: ReadonlyMap<Position, ExpectedEvent>;
  /** By the event table's key. */
  readonly rows: ReadonlyMap<string, ExpectedRow>;
  readonly panes: ReadonlyMap<string, Sums>;
  /** By pane, key, transaction and reason. */
  readonly late: ReadonlyMap<string, Sums>;
  readonly messages: readonly OutboxMessage[];
  readonly clockUs: number | undefined;
  /** Signed deltas of a live view: what is not from the future, since the last truncate. */
  readonly live: readonly Delta[];
};

/** Transactions up to `upTo`, which is the end of one; of windows those of the pipeline's views. */
export function expectedOf(pipeline: Pick<Pipeline, 'settings' | 'views'>, wal: readonly Committed[], upTo: Position): Expected {
  const { watermarkDelayMs, allowedLatenessMs, maxFutureMs } = pipeline.settings;
  const events = new Map<Position, ExpectedEvent>();
  const rows = new Map<string, ExpectedRow>();
  const posts = new Map<string, TextRow>();
  const panes = new Map<string, Sums>();
  const late = new Map<string, Sums>();
  const messages: OutboxMessage[] = [];
  const windows = new Map<string, { revision: number; final: boolean; shown: string }>();
  let live: Delta[] = [];
  let clockUs = Number.NEGATIVE_INFINITY;
  const down = (us: number) => Math.floor(us / 1000 / paneMs) * paneMs;
  const closesUpTo = () => down(clockUs - watermarkDelayMs * 1000);
  const closedBefore = () => down(clockUs - (watermarkDelayMs + allowedLatenessMs) * 1000);
  const say = (view: string, body: OutboxMessage['body']) => messages.push({ seq: messages.length + 1, view, body });
  const views = publishedViews.filter(({ name }) => name in pipeline.views);
  const sets = [...new Set(views.map(({ set }) => set))];

  for (const { lsn, commitUs, events: changes, canaryUs } of wal) {
    let ordinal = 0;
    let saysUs = canaryUs ?? Number.NEGATIVE_INFINITY;
    const last = position(1, lsn, ordinalsOf(changes));
    if (last > upTo) break;
    const happens = (op: ExpectedEvent['op'], key: string | null) => events.set(position(1, lsn, ordinal), { op, key });
    const fold = (row: TextRow, sign: 1 | -1) => {
      const { k, at, points } = row;
      if (k === null || k === undefined) return;
      const us = Date.parse(at!) * 1000;
      const pane = down(us);
      const delta: Delta = { pane, key: k, count: sign, points: sign * Number(points ?? 0), value: points === null || points === undefined ? null : Number(points) };
      const isFuture = us > commitUs + maxFutureMs * 1000;
      if (!isFuture) live.push(delta);
      if (isFuture) add(late, `${pane} ${k} ${position(1, lsn, 0)} future`, delta);
      else if (pane < closedBefore()) add(late, `${pane} ${k} ${position(1, lsn, 0)} late`, delta);
      else add(panes, `${pane} ${k}`, delta);
    };
    for (const event of changes) {
      ordinal++;
      const isPost = event.table === 'posts';
      if (event.op === 'truncate') {
        if (isPost) posts.clear();
        else {
          happens('truncate', null);
          rows.clear();
          panes.clear();
          late.clear();
          live = [];
          for (const window of windows.values()) {
            if (window.shown !== '') window.revision++;
            window.shown = '';
          }
          for (const { name } of views) say(name, { truncated: true });
        }
        continue;
      }
      if (event.op !== 'insert') {
        if (isPost) posts.delete(event.old['id']!);
        else {
          rows.delete(event.old['id']!);
          fold(event.old, -1);
        }
      }
      // a changed key is a delete and an insert, with a position each
      const isRekey = event.op === 'update' && event.old['id'] !== event.row['id'];
      if (!isPost && (isRekey || event.op === 'delete')) happens('delete', event.old['id']!);
      if (isRekey) ordinal++;
      if (event.op === 'delete') continue;
      if (isPost) {
        posts.set(event.row['id']!, event.row);
        continue;
      }
      happens(isRekey ? 'insert' : event.op, event.row['id']!);
      fold(event.row, 1);
      const { id, k, at, points } = event.row;
      const title = k === null ? null : (posts.get(k!)?.['title'] ?? null);
      rows.set(id!, { position: position(1, lsn, ordinal), row: { id: id!, k: k!, at: at!, points: points!, title, twice: points === null ? null : String(BigInt(points!) * 2n) } });
      const us = Date.parse(at!) * 1000;
      if (us <= commitUs + maxFutureMs * 1000) saysUs = Math.max(saysUs, Math.min(us, commitUs));
    }
    if (saysUs <= clockUs) continue;
    const [closedTo, finalTo] = [closesUpTo(), closedBefore()];
    clockUs = saysUs;
    if (views.length === 0 || (closesUpTo() === closedTo && closedBefore() === finalTo)) continue;
    const shownBySet = new Map(sets.map((set) => [set, shownPanes(set, panes)]));
    for (const end of endsOf(panes, windows, closesUpTo())) {
      for (const view of views) {
        const { name, set, sizeMs } = view;
        const before = windows.get(`${name} ${end}`);
        if (before?.final) continue;
        const result = resultOf(shownBySet.get(set)!, end, view);
        const shown = result.length === 0 ? '' : JSON.stringify(result);
        const final = end <= closedBefore();
        if (before ? before.shown === shown && !final : shown === '') continue;
        const revision = !before ? 0 : before.shown === shown ? before.revision : before.revision + 1;
        windows.set(`${name} ${end}`, { revision, final, shown });
        say(name, {
          windowStartMs: end - sizeMs,
          windowEndMs: end,
          revision,
          final,
          rows: result.map((row) => ({ ...row, labels: name === 'tumble' ? { title: posts.get(row.key)?.['title'] ?? null } : {} })),
        });
      }
    }
  }
  return { events, rows, panes, late, messages, live, clockUs: Number.isFinite(clockUs) ? clockUs : undefined };
}

/** Titles by key as a snapshot at `lsn` has them: what was committed below it. */
export function titlesAt(wal: readonly Committed[], lsn: bigint): ReadonlyMap<string, string | null> {
  const titles = new Map<string, string | null>();
  for (const event of wal.filter((each) => each.lsn < lsn).flatMap(({ events }) => events)) {
    if (event.table !== 'posts') continue;
    if (event.op === 'truncate') titles.clear();
    if ('old' in event) titles.delete(event.old['id']!);
    if ('row' in event) titles.set(event.row['id']!, event.row['title']!);
  }
  return titles;
}

/** How many positions the events take. */
export function ordinalsOf(events: Committed['events']): number {
  return events.reduce((count, event) => count + (event.op === 'update' && event.old['id'] !== event.row['id'] ? 2 : 1), 0);
}

/** Ends of all windows that have a pane or were published, up to a bound. */
function endsOf(panes: ReadonlyMap<string, Sums>, windows: ReadonlyMap<string, unknown>, upTo: number): readonly number[] {
  const ends = new Set([...windows.keys()].map((name) => Number(name.split(' ')[1])));
  const longest = Math.max(...publishedViews.map(({ sizeMs }) => sizeMs));
  for (const entry of panes.keys()) for (let end = Number(entry.split(' ')[0]) + paneMs, over = end + longest; end < over; end += paneMs) ends.add(end);
  return [...ends].filter((end) => end <= upTo).sort((a, b) => a - b);
}

function add(sums: Map<string, Sums>, at: string, { count, points, value }: Delta): void {
  let sum = sums.get(at);
  if (!sum) sums.set(at, (sum = { count: 0, points: 0, values: new Map() }));
  sum.count += count;
  sum.points += points;
  if (value !== null) sum.values.set(value, (sum.values.get(value) ?? 0) + count);
}
