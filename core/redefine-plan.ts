import { definitionChanges } from './define/definition-changes.ts';
import { definitionJson, type LastingDefinition, type LastingSink } from './define/definition-hash.ts';
import { placesOf, usedBy } from './destroy.ts';
import type { View } from './pipeline.ts';
import type { RedefinePlan } from './redefine.ts';
import { canBeNull, isWhole } from './views/results.ts';
import { isSameSet, nextPaneSets, paneSetsOf } from './views/pane-sets.ts';
import type { KeptPaneSet } from './views/panes.ts';

/** By what is on record of the one, and would be of the other: both as JSON has them. */
export function planRedefinition(before: LastingDefinition, after: LastingDefinition): RedefinePlan {
  const sets = setsAfter(before, after);
  const views = viewChanges(before, after, sets.fresh.flatMap((set) => set.views));
  const sinks = Object.keys({ ...before.sinks, ...after.sinks }).map((name) => sinkChange(name, before, after, views));
  const ended = sinks.flatMap(({ lane, isEnded = false }) => (isEnded ? [lane] : []));
  const places = Object.entries(placesOf(before)).filter(([lane, place]) => ended.includes(lane) && usedBy(place, [after]) === undefined);
  return {
    impossible: [...definitionChanges(bound(before), bound(after)), ...sinks.flatMap(({ impossible = [] }) => impossible)],
    loses: [...views.flatMap(({ loses = [] }) => loses), ...sinks.flatMap(({ loses = [] }) => loses)],
    says: [...views.flatMap(({ says = [] }) => says), ...sinks.flatMap(({ says = [] }) => says)],
    ended,
    drops: Object.fromEntries(places),
    recreated: sinks.flatMap(({ recreated = [] }) => recreated),
    loads: sinks.flatMap(({ lane, fills }) => (fills === 'rows' ? [lane] : [])),
    lives: sinks.flatMap(({ lane, fills }) => (fills === 'panes' ? [lane] : [])),
    fills: sets.fresh.flatMap((set) => set.views),
    again: [...new Set([...views.flatMap(({ view, isAgain }) => (isAgain ? [view] : [])), ...sinks.flatMap(({ again = [] }) => again)])],
    emptied: views.flatMap(({ view, isEmptied }) => (isEmptied ? [view] : [])),
    freshSets: sets.fresh.map(({ name }) => name),
    droppedSets: sets.dropped,
  };
}

/** The panes that the other one has: `kept`, if they are not those that its views alone would have. */
export function setsAfter(before: Pick<LastingDefinition, 'views' | 'paneSets'>, after: Pick<LastingDefinition, 'views'>): { readonly kept: readonly KeptPaneSet[] | undefined; readonly fresh: readonly KeptPaneSet[]; readonly dropped: readonly string[] } {
  const was = paneSetsOf(before);
  const now = nextPaneSets(was, after.views);
  const plain = paneSetsOf({ views: after.views });
  const isPlain = plain.length === now.length && plain.every((set) => now.some((each) => isSameSet(each, set) && each.views.join() === set.views.map(({ name }) => name).join()));
  return {
    kept: isPlain ? undefined : now,
    fresh: now.filter((set) => !was.some((each) => isSameSet(each, set))),
    dropped: was.filter((set) => !now.some((each) => isSameSet(each, set))).map(({ name }) => name),
  };
}

/** What segments and rows are made of: that cannot be changed beside a stream of the other. */
function bound({ name, source, columns }: LastingDefinition): object {
  return asJson({ name, source, columns });
}

type ViewChange = { readonly view: string; readonly change: 'none' | 'new' | 'gone' | 'other'; readonly says?: readonly string[]; readonly loses?: readonly string[]; readonly isAgain?: true; readonly isEmptied?: true };

function viewChanges(before: LastingDefinition, after: LastingDefinition, fills: readonly string[]): readonly ViewChange[] {
  return Object.keys({ ...before.views, ...after.views }).map((view): ViewChange => {
    const [was, is] = [before.views[view], after.views[view]];
    const isFilled = fills.includes(view);
    if (!is) return { view, change: 'gone', isEmptied: true, loses: [`view ${view} ends: its panes, and what is kept of its windows, are dropped`] };
    if (!was) return { view, change: 'new', ...(isFilled ? { says: [`view ${view} is new: it is filled from the source for as long as panes are kept, while the others go on`] } : { isAgain: true, says: [`view ${view} is new, and made of panes that are there already`] }) };
    if (isSame(was, is)) return { view, change: 'none' };
    const differs = definitionChanges(asJson(was), asJson(is)).map((each) => `views.${view}.${each}`).join('; ');
    if (isFilled) return { view, change: 'other', isEmptied: true, loses: [`view ${view} becomes another (${differs}): what was published of it is dropped, and it is filled from the source for as long as panes are kept`] };
    return { view, change: 'other', isAgain: true, says: [`view ${view} becomes another (${differs}): its windows are said again, for as long as panes are kept`] };
  });
}

type SinkChange = { readonly lane: string; readonly isEnded?: true; readonly fills?: 'rows' | 'panes'; readonly again?: readonly string[]; readonly recreated?: readonly string[]; readonly says?: readonly string[]; readonly loses?: readonly string[]; readonly impossible?: readonly string[] };

function sinkChange(lane: string, before: LastingDefinition, after: LastingDefinition, views: readonly ViewChange[]): SinkChange {
  const [was, is] = [before.sinks[lane], after.sinks[lane]];
  const changeOf = (view: string) => views.find((each) => each.view === view)!;
  if (!is) return { lane, isEnded: true, loses: [`sink ${lane} ends: ${placeText(was!)} is dropped`] };
  if (!was) return { lane, ...made(is, changeOf), says: [`sink ${lane} is new: ${fillText(is)}`] };
  if (!isSame(was, is)) {
    if (was.kind === 'redis-live' && is.kind === 'redis-live' && was.key === is.key) return { lane, fills: 'panes', says: [`sink ${lane} becomes another: ${fillText(is)}`] };
    if (was.kind === 'clickhouse' && is.kind === 'clickhouse' && was.table === is.table) return { lane, impossible: [`sinks.${lane}: table ${is.table} cannot be sorted or partitioned otherwise; give the sink another table`] };
    const isSameTable = was.kind === 'postgres-results' && is.kind === 'postgres-results' && was.table === is.table;
    return { lane, isEnded: true, ...made(is, changeOf), ...(isSameTable ? { recreated: [is.table] } : {}), loses: [`sink ${lane} becomes another: ${placeText(was)} is dropped, and ${fillText(is)}`] };
  }
  if (!('view' in is) || changeOf(is.view).change === 'none') return { lane };
  if (is.kind === 'redis-live') return { lane, fills: 'panes' };
  if (is.kind === 'redis-results' || isSame(resultColumns(before.views[is.view]!), resultColumns(after.views[is.view]!))) return { lane };
  return { lane, isEnded: true, ...made(is, changeOf), recreated: [is.table], loses: [`sink ${lane}: table ${is.table} has other columns, and is made anew with the windows that are kept`] };
}

/** What gives a lane that has nothing what it is to have. */
function made(sink: LastingSink, changeOf: (view: string) => ViewChange): Pick<SinkChange, 'fills' | 'again'> {
  switch (sink.kind) {
    case 'clickhouse':
    case 'http':
      return { fills: 'rows' };
    case 'redis-live':
      return { fills: 'panes' };
    case 'postgres-results':
    case 'redis-results':
      // those of a view that is filled are said by that
      return { again: changeOf(sink.view).isEmptied || (changeOf(sink.view).change === 'new' && !changeOf(sink.view).isAgain) ? [] : [sink.view] };
  }
}

function fillText(sink: LastingSink): string {
  switch (sink.kind) {
    case 'clickhouse':
      return `table ${sink.table} in ClickHouse is loaded from the source, and the lane goes on from there`;
    case 'http':
      return 'with initialLoad it gets the rows of the source, and then every event from there on';
    case 'redis-live':
      return `keys of ${sink.key} in Redis are made out of the panes`;
    case 'postgres-results':
      return `table ${sink.table} gets the windows of ${sink.view} that are kept`;
    case 'redis-results':
      return `keys of ${sink.key} in Redis get the newest window of ${sink.view}`;
  }
}

function placeText(sink: LastingSink): string {
  switch (sink.kind) {
    case 'clickhouse':
      return `table ${sink.table} in ClickHouse`;
    case 'http':
      return 'its place in the stream (what the receiver has stays there)';
    case 'redis-live':
    case 'redis-results':
      return `what Redis has under ${sink.key}`;
    case 'postgres-results':
      return `table ${sink.table}`;
  }
}

/** Two views with the same are kept in the same table. */
function resultColumns({ key, labels, measures }: View): object {
  return [key, Object.keys(labels), Object.entries(measures).map(([name, measure]) => [name, isWhole(measure), canBeNull(measure)])];
}

function isSame(one: object, other: object): boolean {
  return definitionJson(one) === definitionJson(other);
}

function asJson(value: object): object {
  return JSON.parse(definitionJson(value)) as object;
}
