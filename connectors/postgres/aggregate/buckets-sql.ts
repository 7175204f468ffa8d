import { bucketMeasuresOf } from '../../../core/views/results.ts';
import { rankDigits, ranks, registers } from '../../../core/views/buckets.ts';
import type { PaneSet, PaneView } from '../../../core/views/panes.ts';
import { quoted } from './pane-store.ts';

/*
 * What buckets tell of windows (core/views/buckets.ts), in three steps around a `group by` of the caller: entries with what is needed of
 * all of a key (byBucket), aggregates over them (bucketSums), and what those tell (bucketsTold): columns b0, b1, … in the order of
 * bucketMeasuresOf, integers.
 */

/**
 * Entries as rows of keys: `entries` is a query of pane_ms, key and the accumulators' columns, and so is what is returned, with the plain
 * key. `within`: columns of it that tell windows apart.
 */
export function byBucket({ buckets, accumulators }: PaneSet, entries: string, within: readonly string[] = []): string {
  if (!buckets) return entries;
  const others = [...within, 'pane_ms', ...accumulators.map(({ name }) => quoted(name))].join(', ');
  const divided = `select ${others}, ${plainKey} as key, nullif(split_part(key, ' ', 1), '')::bigint as ${bucket} from (${entries}) entries`;
  const ofKey = [...within, 'key'].join(', ');
  const rows = quoted(accumulators.find((each) => each.kind === 'count' && each.of === undefined)!.name);
  switch (buckets.kind) {
    case 'quantile':
      return `select *, sum(${rows}) over (partition by ${ofKey} order by ${bucket}) as ${reached}, sum(${rows}) filter (where ${bucket} is not null) over (partition by ${ofKey}) as ${all} from (${divided}) divided`;
    case 'distinct':
      // the greatest rank of each register that some row has, once
      return `select *, row_number() over (partition by ${ofKey}, ${bucket} / ${ranks} order by ${all} > 0 desc, ${bucket} desc, pane_ms) = 1 and ${all} > 0 and ${bucket} is not null as ${isRank}
              from (select *, sum(${rows}) over (partition by ${ofKey}, ${bucket}) as ${all} from (${divided}) divided) counted`;
  }
}

/** Of the key of an entry. */
export const plainKey = "substr(key, strpos(key, ' ') + 1)";

/** No accumulator can have these names. */
const [bucket, reached, all, isRank] = ['" bucket"', '" reached"', '" all"', '" is rank"'];

/** Aggregates over what byBucket returns. */
export function bucketSums(view: PaneView): readonly string[] {
  return bucketMeasuresOf(view).flatMap(({ measure }, index) =>
    measure.kind === 'quantile'
      ? [`min(${bucket}) filter (where ${reached} >= greatest(1, ceil(${measure.q}::numeric * ${all}))) as b${index}`]
      : [`count(*) filter (where ${isRank}) as registers${index}`, `coalesce(sum(1::bigint << (${rankDigits + 1} - ${bucket} % ${ranks})::int) filter (where ${isRank}), 0) as parts${index}`],
  );
}

/** `grouped`: a query with those aggregates; it is what is returned, with what is told. */
export function bucketsTold(view: PaneView, grouped: string): string {
  const estimates = bucketMeasuresOf(view).flatMap(({ measure }, index) => (measure.kind === 'distinct' ? [`, ${estimate(`registers${index}`, `parts${index}`)} as b${index}`] : []));
  return estimates.length === 0 ? grouped : `select grouped.*${estimates.join('')} from (${grouped}) grouped`;
}

/**
 * How many values there were: Ertl's improved estimator of HyperLogLog (arXiv 1702.01284, section 4), which Redis has, too; it needs no
 * correction for few or for many. `filled`: how many registers have a rank; `parts`: the sum of 2^-rank over them, times 2^(rankDigits + 1).
 */
function estimate(filled: string, parts: string): string {
  const empty = `((${registers} - ${filled})::float8 / ${registers})`;
  // x + Σ x^(2^k) 2^(k-1), of which nothing is left behind k = 20, if any register is filled
  const sigma = `(case when ${filled} = ${registers} then 0 else ${empty} + (select sum(exp(greatest(-600, power(2::float8, k) * ln(${empty}))) * power(2::float8, k - 1)) from generate_series(1, 20) k) end)`;
  return `(case when ${filled} = 0 then 0 else round(${registers ** 2} / (2 * ln(2::float8)) / (${registers} * ${sigma} + ${parts}::float8 / ${2 ** (rankDigits + 1)})) end)::bigint`;
}
