import { merged, same } from './compare.ts';
import type { Expected } from './oracle.ts';
import { divisions, type DividedView } from './pipeline.ts';
import { bucketOf, inputsOf, placeOf, type ShownPane, type Sums } from './shown.ts';
import type { StateDatabase } from './state-database.ts';

/** Of a set that is divided by a value: in the order of its accumulators. */
type Values = readonly number[];
type Entries = readonly (readonly [at: string, values: Values])[];

/** I7: each entry of a divided set is what the rows that are left say. `isRebuilt`: what was late may be in panes by now. */
export function assertDivided(state: StateDatabase, set: DividedView, expected: Pick<Expected, 'panes' | 'late'>, isRebuilt: boolean): void {
  const late = [...state.late.values()].flatMap(({ set: of, pane, key, position, reason, deltas }) => (of === set ? [[`${pane} ${key} ${position} ${reason}`, deltas] as const] : []));
  const [panes, wantedPanes, wantedLate] = [entriesOf(state, set), divided(set, expected.panes), divided(set, expected.late)];
  if (isRebuilt) same(`entries of ${set} with late output`, together(panes, late), together(wantedPanes, wantedLate));
  else {
    same(`entries of ${set}`, touched(panes), touched(wantedPanes));
    same(`late entries of ${set}`, touched(late), touched(wantedLate));
  }
}

/** What windows have to make of the entries that there are. */
export function shownEntries(state: StateDatabase, set: DividedView): readonly ShownPane[] {
  return entriesOf(state, set).map(([at, values]) => {
    const { pane, key: entry } = placeOf(at);
    const { pane: bucket, key } = placeOf(entry);
    const [points, count] = set === 'spread' ? [values[0]!, values[1]!] : [0, values[0]!];
    return { pane, key, shown: { count, points, inputs: 0, high: null, low: null, buckets: new Map([[entry.startsWith(' ') ? null : bucket, count]]) } };
  });
}

export function dividedViews(state: StateDatabase): readonly DividedView[] {
  return (Object.keys(divisions) as DividedView[]).filter((name) => name in state.pipeline.views);
}

function entriesOf(state: StateDatabase, set: DividedView): Entries {
  return [...(state.panes.get(set) ?? [])];
}

/** What is by pane, key and whatever else, by pane, bucket, key and that. */
function divided(set: DividedView, all: ReadonlyMap<string, Sums>): Entries {
  return [...all].flatMap(([at, sums]) => {
    const { pane, key: rest } = placeOf(at);
    const rows = [[null, sums.count - inputsOf(sums)] as const, ...sums.values];
    const entries = rows.map(([points, count]): Entries[number] => [`${pane} ${points === null ? '' : bucketOf(set, points)} ${rest}`, set === 'spread' ? [(points ?? 0) * count, count] : [count]]);
    return [...merged(entries, added)];
  });
}

/** Without transactions and reasons. */
function together(panes: Entries, late: Entries): Entries {
  return touched([...merged([...panes, ...late.map(([at, values]) => [at.split(' ').slice(0, 3).join(' '), values] as const)], added)]);
}

function added(one: Values, other: Values): Values {
  return one.map((value, place) => value + other[place]!);
}

/** An entry of rows that are all gone again may be there or not. */
function touched(entries: Entries): Entries {
  return entries.flatMap(([at, values]) => (values.some((value) => value !== 0) ? [[at, values.map((value) => value + 0)] as const] : []));
}
