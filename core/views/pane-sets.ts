import type { Expression } from '../expressions/expression.ts';
import type { Measure, Pipeline, Text, View } from '../pipeline.ts';
import type { Accumulator, PaneSet, PaneView } from './panes.ts';

/** The pane sets of a pipeline, in the order of its views: views with the same key, filter and pane length share one. */
export function paneSetsOf(pipeline: Pick<Pipeline<Text>, 'views'>): readonly PaneSet[] {
  const groups = new Map<string, [string, View][]>();
  for (const [name, view] of Object.entries(pipeline.views)) {
    const identity = identityOf([view.key, view.where ?? null, view.window.everyMs]);
    const group = groups.get(identity);
    if (group) group.push([name, view]);
    else groups.set(identity, [[name, view]]);
  }
  return [...groups.values()].map(paneSet);
}

function paneSet(views: readonly [string, View][]): PaneSet {
  const accumulators = new Accumulators();
  const paneViews = views.map(([name, view]): PaneView => {
    const measures = Object.entries(view.measures).map(([measure, definition]) => [measure, { measure: definition, accumulators: accumulators.of(measure, definition) }] as const);
    return { name, window: view.window, measures: Object.fromEntries(measures), rankBy: view.rank.by, top: view.rank.top };
  });
  const [name, { key, where, window }] = views[0]!;
  return { name, key, where, paneMs: window.everyMs, accumulators: accumulators.all, views: paneViews };
}

/** The union of what the views need: what two measures have in common is kept once. */
class Accumulators {
  readonly all: Accumulator[] = [];
  readonly #places = new Map<string, number>();
  readonly #names = new Set(['pane_ms', 'key']);

  of(name: string, measure: Measure): readonly number[] {
    switch (measure.kind) {
      case 'count':
      case 'rate':
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

function identityOf(parts: readonly unknown[]): string {
  return JSON.stringify(parts, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
