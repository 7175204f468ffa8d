import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Position } from '../../core/position.ts';
import { parsePosition, position } from '../../core/position.ts';
import { segmentHeader } from '../../core/segment-file.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import type { ResultBody } from '../../connectors/relay.ts';
import { assertDivided, dividedViews, shownEntries } from './check-divided.ts';
import { Violation, merged, same, sameList } from './compare.ts';
import { expectedOf, ordinalsOf, titlesAt, type Expected, type ExpectedRow } from './oracle.ts';
import { isOpen } from '../../core/views/rebuilding.ts';
import { paneMs, publishedViews, rollingMs, type PublishedView } from './pipeline.ts';
import { inputsOf, placeOf, resultOf, type ShownPane, type Sums } from './shown.ts';
import type { World } from './world.ts';

/** I1: what the source is told to forget is in every sink, or in the spool even after a power failure. */
export function assertSafe(world: World, lsn: bigint): void {
  const lost = world.source.wal.findLast((committed) => committed.lsn < lsn && committed.events.length > 0);
  if (!lost) return;
  const needed = position(1, lost.lsn, ordinalsOf(lost.events));
  const fences = neededFences(world).map(([lane, fence]) => [lane, lane === 'enriched' ? world.rows.greatestFence : fence] as const);
  const behind = fences.filter(([, fence]) => fence! < needed);
  if (behind.length === 0) return;
  // whoever deletes the spool has done it
  if (world.disk.wasDeleted) return;
  const durable = world.disk.durable();
  const segments = spoolHeaders(durable);
  const [first, last] = [segments[0], segments.at(-1)];
  for (const [lane, fence] of behind) {
    if (!first || first.from > fence! || (last!.to < needed && !isKept(durable, last!.to, lost.lsn))) {
      throw new Violation(`I1: ${lsn} was confirmed to the source, and ${lane} is at ${fence}; the spool durably has (${first?.from}, ${last?.to}], and ${needed} would be lost`);
    }
  }
}

/** Decision 23: of what follows the spool's end, all up to a transaction is in the chain of what nobody has decided. */
function isKept(files: ReadonlyMap<string, Uint8Array>, tail: Position, upTo: bigint): boolean {
  const segments = spoolHeaders(files, undecidedDirectory);
  const [first, last] = [segments[0], segments.at(-1)];
  if (!first || !last) return false;
  assertOneChain(segments);
  const { lsn, ordinal } = parsePosition(last.to);
  // a part of a transaction is not all of it
  const end = ordinal === 0xffffffff ? lsn : lsn - 1n;
  return parsePosition(first.kind === 'claim' ? first.to : first.from).lsn <= parsePosition(tail).lsn && end >= upTo;
}

/** I5: one chain. */
export function assertChain(world: World): void {
  const files = world.disk.durable();
  for (const directory of [spoolDirectory, undecidedDirectory]) assertOneChain(spoolHeaders(files, directory));
}

function assertOneChain(segments: readonly SegmentHeader[]): void {
  for (const [index, { seq, from }] of segments.entries()) {
    const before = segments[index - 1];
    if (before && (before.seq + 1 !== seq || before.to !== from)) throw new Violation(`I5: segment ${before.seq} ends at ${before.to}, and ${seq} begins at ${from}`);
  }
}

/** I2, I3, I6, I7: every sink is what the plain fold of the stream comes to. */
export function assertEqual(world: World): void {
  const { state, rows, receiver, source, pipeline } = world;
  const [wrong] = onlyOneWorker(world) ? [...receiver.wrongs, ...receiver.repeated] : receiver.wrongs;
  if (wrong !== undefined) throw new Violation(`E12: ${wrong}`);
  const whole = expectedOf(withoutWindows(world), source.wal, end);
  const living = [...rows.rows.values()].flatMap(({ position: version, row }) => (row ? [[row['id']!, { position: version, row }] as const] : []));
  same('rows of the versioned table', living, [...restated(world, whole.rows, new Map(living))]);
  // at least once, also what something newer of its key covers in the fold
  const sent = [...receiver.events.values()].filter((event) => whole.events.has(event.position)).map(({ position: version, op, key }) => [version, { op, key: key === null ? null : String(key) }] as const);
  same('events of the receiver', sent, [...whole.events]);
  const folded = fold(world);
  same('rows of the receiver', folded, [...whole.rows].map(([id, { position: version, row }]) => [id, { position: version, points: number(row['points']), title: row['title'], twice: number(row['twice']) }] as const));

  const fence = state.fences.get('aggregate')!;
  const aggregate = expectedOf(pipeline, source.wal, fence);
  const panes = [...(state.panes.get('tumble') ?? [])].map(([entry, values]) => [entry, partOf(values)] as const);
  const late = [...state.late.values()].flatMap(({ set, pane, key, position: of, reason, deltas }) => (set === 'tumble' ? [[`${pane} ${key} ${of} ${reason}`, partOf(deltas)] as const] : []));
  if (hasBackfills(world)) {
    // what was late may be in panes by now
    const byPane = <S>([entry, sums]: readonly [string, S]) => [entry.split(' ').slice(0, 2).join(' '), sums] as const;
    assertPanes(merged([...panes, ...late.map(byPane)], bothParts), merged([...aggregate.panes, ...[...aggregate.late].map(byPane)], bothSums));
    assertPublished(world, 'tumble', panes.map(([entry, { high, low, ...sums }]) => ({ ...placeOf(entry), shown: { ...sums, high: sums.inputs === 0 ? null : high.value, low: sums.inputs === 0 ? null : low.value, buckets: new Map() } })));
    for (const set of dividedViews(state)) assertPublished(world, set, shownEntries(state, set));
    if (state.kept.size > 0 || state.aggregate.rebuilding.some(isOpen)) throw new Violation(`E18: ${state.kept.size} changes are kept for ${JSON.stringify(state.aggregate.rebuilding)}`);
  } else {
    same('panes', touched(panes), touched([...aggregate.panes].map(partOfSums)));
    same('late output', touched(late), touched([...aggregate.late].map(partOfSums)));
    sameList('messages', state.outbox, aggregate.messages);
  }
  for (const set of dividedViews(state)) assertDivided(state, set, aggregate, hasBackfills(world));
  if (state.aggregate.clockUs !== aggregate.clockUs) throw new Violation(`I6: the clock is ${state.aggregate.clockUs}, expected ${aggregate.clockUs}`);

  const results = new Map<number, unknown>();
  for (const { seq, view, body } of state.outbox) {
    if (seq > state.relayFence || view !== 'tumble') continue;
    if ('truncated' in body) results.clear();
    else results.set(body.windowEndMs, body);
  }
  same('results table', [...state.results], [...results]);

  assertLive(world);
}

export function hasBackfills({ plan }: World): boolean {
  return plan.items.some(({ kind }) => kind === 'backfill');
}

/** Panes that begin before this have closed. */
export function closedTo({ state, pipeline: { settings } }: World): number {
  return Math.floor(((state.aggregate.clockUs ?? Number.NEGATIVE_INFINITY) / 1000 - settings.watermarkDelayMs) / paneMs) * paneMs;
}

/** E14, E15: no window that has closed lacks anything any more. `lookedAtMs`: what had closed when the repair began. */
export function assertRepaired(world: World, lookedAtMs: number): void {
  const { state } = world;
  const late = [...state.late.values()].find(({ pane }) => pane < closedTo(world));
  if (late) throw new Violation(`E14: of the pane ${late.pane} ${late.key} something is late still, from ${late.position}`);
  const lost = [...(state.panes.get('tumble') ?? [])].find(([entry, values]) => Number(entry.split(' ')[0]) < lookedAtMs && (['high', 'low'] as const).some((extreme) => known(partOf(values), extreme) === 'lost'));
  if (lost) throw new Violation(`E15: the pane ${lost[0]} has lost its min or max still: ${JSON.stringify(partOf(lost[1]))}`);
}

/** E17: rows that a backfill has written have its snapshot's position, above their own, and its dimensions. */
function restated({ source }: World, expected: Expected['rows'], actual: ReadonlyMap<string, ExpectedRow>): ReadonlyMap<string, ExpectedRow> {
  return new Map(
    [...expected].map(([id, wanted]) => {
      const found = actual.get(id)?.position;
      const { lsn, ordinal } = parsePosition(found ?? wanted.position);
      if (found === undefined || ordinal !== 0 || found <= wanted.position) return [id, wanted];
      const { k } = wanted.row;
      return [id, { position: found, row: { ...wanted.row, title: k === null ? null : (titlesAt(source.wal, lsn).get(k!) ?? null) } }];
    }),
  );
}

/** I7: the last that was said of a closed window is what its panes have; what changed since the last crossing is said at the next. */
function assertPublished(world: World, set: PublishedView['set'], panes: readonly ShownPane[]): void {
  const { state } = world;
  const dirty = new Set(state.aggregate.dirty[set]);
  for (const view of publishedViews) {
    if (view.set !== set) continue;
    const said = new Map<number, Exclude<ResultBody, { truncated: true }>>();
    for (const { view: of, body } of state.outbox) {
      if (of !== view.name) continue;
      if ('truncated' in body) said.clear();
      else {
        const before = said.get(body.windowEndMs);
        if (before && before.revision > body.revision) throw new Violation(`${view.name} ${body.windowEndMs}: revision ${body.revision} was said after ${before.revision}`);
        said.set(body.windowEndMs, body);
      }
    }
    const ends = new Set([...said.keys(), ...panes.flatMap(({ pane }) => Array.from({ length: view.sizeMs / paneMs }, (_, index) => pane + (index + 1) * paneMs))]);
    for (const end of ends) {
      if (end > closedTo(world) || [...dirty].some((pane) => pane < end && pane >= end - view.sizeMs)) continue;
      const shown = (said.get(end)?.rows ?? []).map(({ rank, key, measures }) => ({ rank, key, measures }));
      if (!isDeepStrictEqual(shown, resultOf(panes, end, view))) throw new Violation(`${view.name} ${end}: the last that was said is ${JSON.stringify(shown)}, and its panes are ${JSON.stringify(resultOf(panes, end, view))}`);
    }
  }
}

/** A new worker may not know the newest segments at first, and a deleted spool has none (see HttpSink.apply). */
function onlyOneWorker({ plan }: World): boolean {
  const others: readonly string[] = ['kill', 'power failure', 'stop', 'second worker', 'graceful restart', 'attempt given up', 'spool deleted', 'sink set back'];
  return !plan.items.some(({ kind }) => others.includes(kind));
}

/** E11: what the live structure shows, at its fence; nothing is said in the middle of a transaction. */
export function assertLive(world: World): void {
  const { live, source } = world;
  const isEnd = source.wal.some(({ lsn, events }) => position(1, lsn, ordinalsOf(events)) === live.fence);
  if (!isEnd) return;
  const shown = expectedOf(withoutWindows(world), source.wal, live.fence!);
  const floor = shown.clockUs === undefined ? Number.NEGATIVE_INFINITY : Math.floor(shown.clockUs / 1000 / paneMs) * paneMs;
  const scores = new Map<string, number>();
  for (const { pane, key, points } of shown.live) if (pane <= floor && pane > floor - rollingMs) scores.set(key, (scores.get(key) ?? 0) + points);
  same('live structure', [...live.scores()], [...scores].filter(([, score]) => score !== 0));
  if (live.endUs !== shown.clockUs) throw new Violation(`E11: the live structure ends at ${live.endUs}, expected ${shown.clockUs}`);
}

/** They are most of what the fold costs. */
function withoutWindows({ pipeline: { settings } }: World): Parameters<typeof expectedOf>[0] {
  return { settings, views: {} };
}

/** Lanes whose fence the slot must respect; undefined where its destination has lost it. */
export function neededFences({ state, rows }: World): readonly (readonly [lane: string, fence: Position | undefined])[] {
  return [
    ['aggregate', state.fences.get('aggregate')!],
    ['external', state.fences.get('external')!],
    ['enriched', rows.fence],
  ];
}

export const spoolDirectory = '/spool/sim';
export const undecidedDirectory = `${spoolDirectory}/undecided`;

/** In order, from the floor on. */
export function spoolHeaders(files: ReadonlyMap<string, Uint8Array>, directory = spoolDirectory): readonly SegmentHeader[] {
  const floor = files.get(`${directory}/floor`);
  const least = floor ? Number(new TextDecoder().decode(floor)) : 0;
  return [...files]
    .filter(([path]) => path.endsWith('.segment') && dirname(path) === directory)
    .map(([, bytes]) => segmentHeader(bytes)!)
    .filter(({ seq }) => seq >= least)
    .sort((a, b) => a.seq - b.seq);
}

const end = 'f'.repeat(32) as Position;

/** As a receiver does it: by key to the greatest position; a truncate takes what is below it. */
function fold({ receiver }: World) {
  const rows = new Map<string, { position: Position; row: Readonly<Record<string, unknown>> | null }>();
  for (const event of [...receiver.events.values()].sort((a, b) => (a.position < b.position ? -1 : 1))) {
    if (event.op === 'truncate') rows.clear();
    else rows.set(String(event.key), event);
  }
  return [...rows].flatMap(([id, { position: version, row }]) => (row ? [[id, { position: version, points: number(row['points']), title: row['title'], twice: number(row['twice']) }] as const] : []));
}

/** JSON may have it as a number or as a text. */
function number(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** Of a pane as the lane keeps it: an extreme is of all that came or went, and `rows` how many are left that have it. */
type Part = { readonly count: number; readonly points: number; readonly inputs: number; readonly high: Peak; readonly low: Peak };
type Peak = { readonly value: number | null; readonly rows: number };

/** In the order of the pane set's accumulators. */
function partOf(values: readonly number[]): Part {
  const [count, points, inputs, high, highRows, low, lowRows] = values as [number, number, number, number, number, number, number];
  const peak = (value: number, rows: number): Peak => ({ value: Number.isNaN(value) ? null : value, rows });
  return { count, points, inputs, high: peak(high, highRows), low: peak(low, lowRows) };
}

/** The same of a plain fold. */
function partOfSums([entry, sums]: readonly [string, Sums]): readonly [string, Part] {
  const { count, points } = sums;
  const inputs = inputsOf(sums);
  const peak = (of: (...values: number[]) => number): Peak => (sums.values.size === 0 ? { value: null, rows: 0 } : { value: of(...sums.values.keys()), rows: sums.values.get(of(...sums.values.keys()))! });
  return [entry, { count, points, inputs, high: peak(Math.max), low: peak(Math.min) }];
}

/** What the pane says of a min or max; only the source knows the next one of those that it has lost. */
function known(part: Part, extreme: 'high' | 'low'): Peak | 'lost' {
  if (part[extreme].rows > 0) return part[extreme];
  return part.inputs === 0 ? { value: null, rows: 0 } : 'lost';
}

/** I7: what is not lost is what the rows that are left say. */
function assertPanes(actual: ReadonlyMap<string, Part>, expected: ReadonlyMap<string, Sums>): void {
  for (const entry of new Set([...actual.keys(), ...expected.keys()])) {
    const part = actual.get(entry) ?? partOf([0, 0, 0, Number.NaN, 0, Number.NaN, 0]);
    const sums = expected.get(entry) ?? { count: 0, points: 0, values: new Map<number, number>() };
    const left = [...sums.values].filter(([, rows]) => rows !== 0);
    const [, wanted] = partOfSums([entry, { ...sums, values: new Map(left) }]);
    const isSame = (['count', 'points', 'inputs'] as const).every((name) => part[name] === wanted[name]) && (['high', 'low'] as const).every((name) => known(part, name) === 'lost' || isDeepStrictEqual(known(part, name), wanted[name]));
    if (!isSame) throw new Violation(`panes with late output: ${entry} is ${JSON.stringify(part)}, expected ${JSON.stringify(wanted)}`);
  }
}

function bothSums(one: Sums, other: Sums): Sums {
  const values = new Map(one.values);
  for (const [value, rows] of other.values) values.set(value, (values.get(value) ?? 0) + rows);
  return { count: one.count + other.count, points: one.points + other.points, values };
}

function bothParts(one: Part, other: Part): Part {
  const peak = (a: Peak, b: Peak, isBeyond: (x: number, y: number) => boolean): Peak => {
    if (a.value === null || b.value === null) return a.value === null ? b : a;
    if (a.value === b.value) return { value: a.value, rows: a.rows + b.rows };
    return isBeyond(a.value, b.value) ? a : b;
  };
  return { count: one.count + other.count, points: one.points + other.points, inputs: one.inputs + other.inputs, high: peak(one.high, other.high, (x, y) => x > y), low: peak(one.low, other.low, (x, y) => x < y) };
}

/** Without those of which nothing was ever counted, or nothing is left to tell. */
function touched(entries: readonly (readonly [string, Part])[]) {
  return entries.filter(([, { count, points, high }]) => count !== 0 || points !== 0 || high.value !== null);
}

/** Whether a promotion took away what the spool or a sink has. */
export function hasPhantoms(world: World): boolean {
  const tails = spoolHeaders(world.disk.durable()).slice(-1).map(({ to }) => to);
  const tail = [...tails, ...neededFences(world).flatMap(([, fence]) => fence ?? [])].sort().at(-1)!;
  return world.source.promotions.some(({ left }) => parsePosition(tail).lsn >= left);
}
