import type { Client } from 'pg';
import { toScaledSql } from '../../core/expressions/scaled-sql.ts';
import { toSql, type Aliases } from '../../core/expressions/sql.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { quantileDigits, rankDigits, ranks, type Buckets } from '../../core/views/buckets.ts';
import { isExtreme } from '../../core/views/extremes.ts';
import type { Accumulator, PaneSet, PaneView } from '../../core/views/panes.ts';
import { bucketMeasuresOf } from '../../core/views/results.ts';
import { quote } from '../postgres/source-catalog.ts';
import { sourceTable } from './dimensions.ts';

/** The temporary table of a set's panes by SQL over the source's events: pane_ms, key, and the accumulators a0, a1, ... */
export function sourcePanes(set: PaneSet): string {
  return `pg_temp.${quote(`source panes of ${set.name}`)}`;
}

export async function makeSourcePanes(database: Client, pipeline: Pipeline, set: PaneSet): Promise<void> {
  await database.query(`create temporary table ${sourcePanes(set)} as ${panesOf(pipeline, set, `pg_temp.${quote(sourceTable('events'))}`)}`);
  await database.query(`analyze ${sourcePanes(set)}`);
}

/** The panes of rows of the event table. NULL keys, and NULL and infinite times, do not count. */
export function panesOf(pipeline: Pipeline, set: PaneSet, rows: string): string {
  const { events } = pipeline.source;
  const aliases = { events: 'events row' };
  const event = quote(aliases.events);
  const time = `${event}.${quote(events.eventTime)}`;
  const key = `${event}.${quote(set.key)}`;
  const entry = set.buckets ? `concat(${bucketSql(set.buckets, aliases)}, ' ', ${key}) collate "C"` : `concat(${key}) collate "C"`;
  const sums = set.accumulators.map((accumulator, place) => `${sumSql(accumulator, place, aliases)} as a${place}`);
  const where = set.where ? ` and ${toSql(set.where, aliases)}` : '';
  const pane = paneOf(`(extract(epoch from ${time}) * 1000000)`, set.paneMs);
  const counted = withExtremes(set, `${rows} ${event} where ${key} is not null and isfinite(${time})${where}`, `${pane}, ${entry}`, aliases);
  return `select ${pane} as pane_ms, ${entry} as key, ${sums.join(', ')} from ${counted} group by 1, 2`;
}

/** The number of the bucket that a row is in, a bigint; NULL without a value. What core/views/buckets.ts says, in SQL. */
export function bucketSql(buckets: Buckets, aliases: Aliases): string {
  switch (buckets.kind) {
    case 'quantile': {
      const value = toScaledSql(buckets.of, buckets.scale, aliases);
      // how many binary digits a bucket leaves out
      const digits = `greatest(${64 - quantileDigits} - strpos(abs(value)::bit(64)::text, '1'), 0)`;
      return `(select sign(value)::bigint * (((abs(value) >> digits) << digits) + ((1::bigint << digits) >> 1)) from (select value, ${digits} as digits from (select ${value} as value offset 0) as _scaled offset 0) as _digits)`;
    }
    case 'distinct': {
      const hash = `encode(sha256(convert_to(concat(${toSql(buckets.of, aliases)}), 'UTF8')), 'hex')`;
      const bucket = `('x' || substr(hash, 1, 3))::bit(12)::bigint * ${ranks} + strpos(('x' || substr(hash, 4, ${rankDigits / 4}))::bit(${rankDigits})::text || '1', '1')`;
      return `(case when ${toSql(buckets.of, aliases)} is not null then (select ${bucket} from (select ${hash} as hash offset 0) as _hash) end)`;
    }
  }
}

/** Rows, as they are after `from`, each also with its own value of each extreme, and with its pane's. */
function withExtremes({ accumulators }: PaneSet, rows: string, pane: string, aliases: Aliases): string {
  const extremes = accumulators.flatMap((accumulator, place) => (isExtreme(accumulator) ? [{ place, ...accumulator }] : []));
  if (extremes.length === 0) return rows;
  const event = quote(aliases['events']!);
  const values = extremes.map(({ place, of, scale }) => `, ${toScaledSql(of, scale, aliases)} as ${quote(ownValue(place))}`);
  const found = extremes.map(({ place, kind }) => `, ${kind}(${event}.${quote(ownValue(place))}) over pane as ${quote(paneValue(place))}`);
  return `(select ${event}.*${found.join('')} from (select ${event}.*${values.join('')} from ${rows}) ${event} window pane as (partition by ${pane})) ${event}`;
}

/** No column of a table can have these names. */
const ownValue = (place: number) => ` value ${place}`;
const paneValue = (place: number) => ` extreme ${place}`;

/** The start of the pane of a time in microseconds, a numeric: exact for every time, as remainders are not rounded. */
export function paneOf(microseconds: string, paneMs: number): string {
  const paneUs = paneMs * 1000;
  return `((${microseconds} - mod(mod(${microseconds}, ${paneUs}) + ${paneUs}, ${paneUs})) / 1000)::bigint`;
}

function sumSql(accumulator: Accumulator, place: number, aliases: Aliases): string {
  switch (accumulator.kind) {
    case 'sum':
      return `coalesce(sum(${toScaledSql(accumulator.of, accumulator.scale, aliases)}), 0)::numeric`;
    case 'count':
      return accumulator.of === undefined ? 'count(*)::numeric' : `count(${toScaledSql(accumulator.of, accumulator.ofScale, aliases)})::numeric`;
    case 'min':
    case 'max':
      return `${accumulator.kind}(${quote(ownValue(place))})::numeric`;
    case 'rows':
      return `count(*) filter (where ${quote(ownValue(accumulator.extreme))} = ${quote(paneValue(accumulator.extreme))})::numeric`;
  }
}

/** Only rows whose sums, by place, are not all 0: an absent pane is the same as one of zeros. */
export function notAllZero(places: readonly number[], prefix = 'a'): string {
  return `(${places.map((place) => `${prefix}${place} <> 0`).join(' or ')})`;
}

/** A view's measure out of its accumulators' sums and extremes, as a numeric: averages and rates have six more digits than their sums. */
export function measureSql(view: PaneView, name: string, prefix = 'a'): string {
  const { measure, accumulators } = view.measures[name]!;
  const [first, second] = accumulators.map((place) => `${prefix}${place}`);
  switch (measure.kind) {
    case 'count':
      return `${first}::numeric`;
    case 'sum':
    case 'min':
    case 'max':
      return scaled(first!, measure.scale);
    case 'avg':
      return scaled(rounded(first!, second!), measure.scale + 6);
    case 'quantile':
      return scaled(told(view, name), measure.scale);
    case 'distinct':
      return `${told(view, name)}::numeric`;
    case 'rate':
      return scaled(rounded(`(${first} * 1000)`, `${view.window.sizeMs}`), 6);
  }
}

/** The column of bucketsTold (buckets-sql.ts). */
function told(view: PaneView, name: string): string {
  return `b${bucketMeasuresOf(view).findIndex((each) => each.name === name)}`;
}

/** The quotient of two integers times 10^6, half away from zero; of nothing it is 0. */
function rounded(sum: string, count: string): string {
  return `(case when ${count} = 0 then 0 else sign(${sum}) * sign(${count}) * div(2 * abs(${sum})::numeric * 1000000 + abs(${count}), 2 * abs(${count})::numeric) end)`;
}

function scaled(value: string, digits: number): string {
  return `(${value}::numeric * 1e-${digits}::numeric)`;
}
