import type { Expression } from '../expressions/expression.ts';
import type { Measure, Pipeline, Text, View } from '../pipeline.ts';
import { bucketsOf, type Buckets } from './buckets.ts';
import type { Accumulator, KeptPaneSet, PaneSet, PaneView } from './panes.ts';

/** The pane sets of a pipeline, in the order of its views: views with the same key, filter, pane length and buckets share one. */
export function paneSetsOf({ views, paneSets }: Pick<Pipeline<Text>, 'views' | 'paneSets'>): readonly PaneSet[] {
  if (paneSets) return paneSets.map((set) => ({ ...set, views: viewsWithin(new Accumulators(set.accumulators), set.views.map((name) => [name, views[name]!])) }));
  return groupsOf(Object.entries(views)).map(paneSet);
}

/**
 * The pane sets of a pipeline when its views become others, as they are to be kept. A view whose panes have all that it needs takes those, and they stay as
 * they are, whichever views they lose; all others get new ones, which no set that stays has the name of.
 */
export function nextPaneSets(before: readonly PaneSet[], views: Pipeline<Text>['views']): readonly KeptPaneSet[] {
  const all = Object.entries(views);
  const homes = new Map(all.map(([name, view]) => [name, before.find((set) => identityOfPanes(view) === identityOf([set.key, set.where ?? null, set.paneMs, set.buckets ?? null]) && hasAll(set, view))]));
  const staying = before.flatMap((set): KeptPaneSet[] => {
    const own = all.flatMap(([name]) => (homes.get(name) === set ? [name] : []));
    return own.length > 0 ? [{ ...set, views: own }] : [];
  });
  const fresh = groupsOf(all.filter(([name]) => !homes.get(name))).map(paneSet);
  const taken = new Set([...staying.map(({ name }) => name), ...fresh.map(({ name }) => name)]);
  return [
    ...staying,
    ...fresh.map((set) => {
      const name = staying.some((each) => each.name === set.name) ? freeName(set.name, taken) : set.name;
      taken.add(name);
      return { ...set, name, views: set.views.map((view) => view.name) };
    }),
  ];
}

/** The same table would hold them. */
export function isSameSet(one: Omit<PaneSet, 'views'>, other: Omit<PaneSet, 'views'>): boolean {
  const text = ({ name, key, where, paneMs, buckets, accumulators }: Omit<PaneSet, 'views'>) => identityOf([name, key, where ?? null, paneMs, buckets ?? null, accumulators]);
  return text(one) === text(other);
}

function hasAll({ accumulators }: PaneSet, { measures }: View): boolean {
  const known = new Accumulators(accumulators);
  for (const [name, measure] of Object.entries(measures)) known.of(name, measure);
  return known.all.length === accumulators.length;
}

function groupsOf(views: readonly (readonly [string, View])[]): readonly (readonly (readonly [string, View])[])[] {
  const groups = new Map<string, (readonly [string, View])[]>();
  for (const each of views) {
    const identity = identityOfPanes(each[1]);
    const group = groups.get(identity);
    if (group) group.push(each);
    else groups.set(identity, [each]);
  }
  return [...groups.values()];
}

function identityOfPanes(view: View): string {
  return identityOf([view.key, view.where ?? null, view.window.everyMs, bucketsOfView(view) ?? null]);
}

/** All of its measures that have any have the same (check-views.ts). */
function bucketsOfView({ measures }: View): Buckets | undefined {
  return Object.values(measures).map(bucketsOf).find((buckets) => buckets !== undefined);
}

function paneSet(views: readonly (readonly [string, View])[]): PaneSet {
  const accumulators = new Accumulators();
  const paneViews = viewsWithin(accumulators, views);
  const [name, view] = views[0]!;
  const buckets = bucketsOfView(view);
  return { name, key: view.key, where: view.where, paneMs: view.window.everyMs, ...(buckets && { buckets }), accumulators: accumulators.all, views: paneViews };
}

function viewsWithin(accumulators: Accumulators, views: readonly (readonly [string, View])[]): readonly PaneView[] {
  return views.map(([name, view]): PaneView => {
    const measures = Object.entries(view.measures).map(([measure, definition]) => [measure, { measure: definition, accumulators: accumulators.of(measure, definition) }] as const);
    return { name, window: view.window, measures: Object.fromEntries(measures), rankBy: view.rank.by, top: view.rank.top };
  });
}

function freeName(wanted: string, taken: ReadonlySet<string>): string {
  for (let number = 2; ; number++) if (!taken.has(`${wanted}_${number}`)) return `${wanted}_${number}`;
}

/** The union of what the views need: what two measures have in common is kept once. */
class Accumulators {
  readonly all: Accumulator[];
  readonly #places: Map<string, number>;
  readonly #names: Set<string>;

  /** Of panes that are there already. */
  constructor(known: readonly Accumulator[] = []) {
    this.all = [...known];
    this.#places = new Map(known.map((accumulator, place) => [identityOf(inputOf(accumulator)), place]));
    this.#names = new Set(['pane_ms', 'key', ...known.map(({ name }) => name)]);
  }

  of(name: string, measure: Measure): readonly number[] {
    switch (measure.kind) {
      case 'count':
      case 'rate':
      case 'quantile':
      case 'distinct':
        return [this.#rows()];
      case 'sum':
        return [this.#sum(name, measure.of, measure.scale)];
      case 'avg':
        return [this.#sum(name, measure.of, measure.scale), this.#inputs(name, measure.of, measure.scale)];
      case 'min':
      case 'max':
        return this.#extreme(name, measure);
    }
  }

  #rows(): number {
    return this.#place(['count'], () => ({ name: this.#name('count'), kind: 'count', scale: 0, of: undefined }));
  }

  #sum(name: string, of: Expression, scale: number): number {
    return this.#place(['sum', of, scale], () => ({ name: this.#name(name), kind: 'sum', scale, of }));
  }

  #inputs(name: string, of: Expression, scale: number): number {
    return this.#place(['count', of, scale], () => ({ name: this.#name(`${name}_count`), kind: 'count', scale: 0, of, ofScale: scale }));
  }

  /** The extreme first, then how many rows have it, and how many have a value. */
  #extreme(name: string, { kind, of, scale }: Extract<Measure, { kind: 'min' | 'max' }>): readonly number[] {
    const inputs = this.#inputs(name, of, scale);
    const after = this.all.length + 1;
    const value = this.#place([kind, of, scale], () => ({ name: this.#name(name), kind, scale, of, rows: after, inputs }));
    const rows = this.#place(['rows', value], () => ({ name: this.#name(`${name}_rows`), kind: 'rows', scale: 0, extreme: value }));
    return [value, rows, inputs];
  }

  #place(identity: readonly unknown[], make: () => Accumulator): number {
    const text = identityOf(identity);
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.all.push(make()) - 1;
      this.#places.set(text, place);
    }
    return place;
  }

  /** A column's name: two views may call different things the same. */
  #name(wanted: string): string {
    let name = wanted;
    for (let number = 2; this.#names.has(name); number++) name = `${wanted}_${number}`;
    this.#names.add(name);
    return name;
  }
}

/** What an accumulator is told by, whatever its name. */
function inputOf(accumulator: Accumulator): readonly unknown[] {
  switch (accumulator.kind) {
    case 'sum':
    case 'min':
    case 'max':
      return [accumulator.kind, accumulator.of, accumulator.scale];
    case 'count':
      return accumulator.of === undefined ? ['count'] : ['count', accumulator.of, accumulator.ofScale];
    case 'rows':
      return ['rows', accumulator.extreme];
  }
}

function identityOf(parts: readonly unknown[]): string {
  return JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
