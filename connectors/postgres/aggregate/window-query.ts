import type { Position } from '../../../core/position.ts';
import type { Pipeline } from '../../../core/pipeline.ts';
import { isExtreme } from '../../../core/views/extremes.ts';
import type { PaneSet, PaneView } from '../../../core/views/panes.ts';
import { accumulatorsOf, bucketMeasuresOf, measuresOf, presenceOf, ratioDigits } from '../../../core/views/results.ts';
import type { WindowNow } from '../../aggregate/tables.ts';
import type { ResultRow } from '../../relay.ts';
import { unhurried, type Queryable } from '../state/state.ts';
import { bucketSums, bucketsTold, byBucket } from './buckets-sql.ts';
import { bigints, paneTable, prepared, quoted } from './pane-store.ts';

/** One statement for the top N of any number of windows of a view, with labels as of a position (E16). */
export class WindowQuery {
  readonly #pipeline: Pipeline;
  readonly #set: PaneSet;
  readonly #view: PaneView;
  readonly #labels: readonly (readonly [name: string, column: string])[];
  readonly #statement: { readonly name: string; readonly text: string };

  constructor(pipeline: Pipeline, set: PaneSet, view: PaneView) {
    this.#pipeline = pipeline;
    this.#set = set;
    this.#view = view;
    this.#labels = Object.entries(pipeline.views[view.name]!.labels).map(([name, { column }]) => [name, column]);
    this.#statement = prepared('windows', this.#sql());
  }

  async read(client: Queryable, ends: readonly number[], at: Position): Promise<readonly WindowNow[]> {
    const { rows } = await client.query<WindowRow>(unhurried({
      ...this.#statement,
      values: [bigints(ends), this.#pipeline.name, this.#view.name, ...(this.#labels.length > 0 ? [at] : [])],
    }));
    return rows.map((row) => ({
      endMs: Number(row.end_ms),
      digest: row.digest ?? '',
      published: row.revision === null ? undefined : { revision: row.revision, final: row.final!, digest: row.published_digest! },
      rows: (row.ranks ?? []).map((rank, index) => this.#resultRow(rank, index)),
    }));
  }

  #resultRow([key, shown, ...labels]: Rank, index: number): ResultRow {
    const all = this.#set.accumulators.map((): string | null => '0');
    const accumulators = accumulatorsOf(this.#view);
    accumulators.forEach((accumulator, place) => (all[accumulator] = shown[place]!));
    return {
      rank: index + 1,
      key,
      measures: measuresOf(this.#set, this.#view, all, shown.slice(accumulators.length)),
      labels: Object.fromEntries(this.#labels.map(([name], place) => [name, labels[place] ?? null])),
    };
  }

  #sql(): string {
    const { sizeMs } = this.#view.window;
    const accumulators = accumulatorsOf(this.#view);
    const shown = [...accumulators.map((accumulator) => `s${accumulator}`), ...bucketMeasuresOf(this.#view).map((_, index) => `b${index}`)];
    const sums = [...accumulators.map((accumulator) => `${overPanes(this.#set, accumulator)} as s${accumulator}`), ...bucketSums(this.#view)];
    const some = presenceOf(this.#view).map((accumulator) => `${overPanes(this.#set, accumulator)} <> 0`).join(' or ');
    const texts = `json_build_array(${shown.map((column) => `${column}::text`).join(', ')})`;
    const panes = `select * from ${paneTable(this.#pipeline.name, this.#set)} where pane_ms >= ends.end_ms - ${sizeMs} and pane_ms < ends.end_ms`;
    const joins = this.#dimensions().map(
      (name, index) => `left join lateral (
            select row from sluice.dimension_version d${index}
            where pipeline = $2 and dimension = '${name.replaceAll("'", "''")}' and d${index}.key = top.key and position <= $4 order by position desc limit 1
          ) dimension${index} on true`,
    );
    return `
      select ends.end_ms, published.revision, published.final, published.digest as published_digest, result.ranks, result.digest
      from unnest($1::bigint[]) with ordinality as ends (end_ms, place)
      left join sluice.published_window published on published.pipeline = $2 and published.view = $3 and published.window_end_ms = ends.end_ms
      cross join lateral (
        select json_agg(json_build_array(top.key, ${texts}${this.#labelColumns()}) order by top.rank) as ranks,
               md5(json_agg(json_build_array(top.key, ${texts}) order by top.rank)::text) as digest
        from (
          select ${['key', ...shown].join(', ')}, row_number() over (order by ${this.#score()}, key) as rank
          from (${bucketsTold(this.#view, `select ${['key', ...sums].join(', ')} from (${byBucket(this.#set, panes)}) panes group by key having ${some}`)}) sums order by rank limit ${this.#view.top}
        ) top ${joins.join('\n')}
      ) result
      order by ends.place`;
  }

  #score(): string {
    const { measure, accumulators } = this.#view.measures[this.#view.rankBy]!;
    const [sum, count] = accumulators.map((accumulator) => `s${accumulator}`);
    switch (measure.kind) {
      case 'avg':
        return `coalesce(round(${sum} / nullif(${count}, 0), ${ratioDigits}), 0) desc`;
      case 'min':
      case 'max':
        return `${sum} desc nulls last`;
      case 'quantile':
      case 'distinct':
        return `b${bucketMeasuresOf(this.#view).findIndex(({ name }) => name === this.#view.rankBy)} desc nulls last`;
      default:
        return `${sum} desc`;
    }
  }

  #dimensions(): readonly string[] {
    return [...new Set(Object.values(this.#pipeline.views[this.#view.name]!.labels).map(({ dimension }) => dimension))];
  }

  #labelColumns(): string {
    const dimensions = this.#dimensions();
    const labels = Object.values(this.#pipeline.views[this.#view.name]!.labels);
    return labels.map(({ dimension, column }) => `, dimension${dimensions.indexOf(dimension)}.row ->> '${column.replaceAll("'", "''")}'`).join('');
  }
}

/** An accumulator over the panes of a window, in SQL. A pane without rows that have a value has no extreme any more. */
export function overPanes({ accumulators }: PaneSet, place: number): string {
  const accumulator = accumulators[place]!;
  const column = quoted(accumulator.name);
  if (!isExtreme(accumulator)) return `sum(${column})`;
  return `${accumulator.kind}(${column}) filter (where ${quoted(accumulators[accumulator.inputs]!.name)} <> 0)`;
}

type Rank = readonly [key: string, shown: readonly (string | null)[], ...labels: (string | null)[]];

type WindowRow = {
  readonly end_ms: string;
  readonly revision: number | null;
  readonly final: boolean | null;
  readonly published_digest: string | null;
  readonly ranks: readonly Rank[] | null;
  readonly digest: string | null;
};
