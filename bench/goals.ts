import type { CaseResult, Line } from './case.ts';
import { backfillFigures } from './cases/backfill.ts';
import { burstFigures } from './cases/burst.ts';
import { fiveMillions } from './cases/huge.ts';
import { everySecond, everyTenSeconds, idleFigure } from './cases/idle.ts';
import { latencyFigures, liveRate } from './cases/latency.ts';
import { medianName } from './cases/plain.ts';
import { costOfLine, ratioOf, toolRatioFigure } from './lines.ts';

/** What was aimed at, beside what was measured. */
export type Goal = {
  readonly what: string;
  readonly bound: string;
  /** Null: it was not part of the run. */
  readonly measured: number | null;
  readonly met: boolean | null;
  readonly text: string;
};

type Results = readonly CaseResult[];
type Bound = { readonly most: number } | { readonly least: number } | { readonly below: number };
type Described = { readonly what: string; readonly bound: Bound; readonly unit?: string; readonly measured: (results: Results) => number | null };

export function goalsOf(results: Results): Goal[] {
  return goals.map(({ what, bound, unit = '', measured: read }) => {
    const measured = read(results);
    return {
      what,
      bound: `${boundText(bound)}${unit}`,
      measured,
      met: measured === null ? null : isMet(measured, bound),
      text: measured === null ? 'not measured' : `${neverBetter(measured, bound)}${unit}`,
    };
  });
}

const slowest = 3;

const goals: readonly Described[] = [
  { what: 'plain: ratio to bare receiving in the same round, median', bound: { least: 0.65 }, measured: (results) => of(line(results, 'plain', medianName), ratioOf) },
  { what: 'plain: bare receiving to pg_recvlogical, median', bound: { least: 0.8 }, measured: (results) => figure(line(results, 'plain', medianName), toolRatioFigure) },
  { what: 'plain: CPU for a million events, without Temporal and load', bound: { most: 8 }, unit: ' s', measured: (results) => of(line(results, 'plain', medianName), costOfLine) },
  { what: `latency to Redis at ${liveRate}/s, linger 50 ms: p99`, bound: { most: 50 + 40 }, unit: ' ms', measured: latencyOf('redis', 50, undefined, latencyFigures.p99) },
  { what: `latency to Redis at ${liveRate}/s, linger 50 ms: p50`, bound: { below: 60 }, unit: ' ms', measured: latencyOf('redis', 50, undefined, latencyFigures.p50) },
  ...[50, 250].map((gatherMs): Described => ({ what: `latency to ClickHouse at ${liveRate}/s, gathering ${gatherMs} ms, linger 50 ms: p99`, bound: { most: gatherMs + 50 + 60 }, unit: ' ms', measured: latencyOf('clickhouse', 50, gatherMs, latencyFigures.p99) })),
  { what: 'burst: absorbed, as part of twice the time that catching up needs', bound: { most: 1 }, measured: absorption },
  { what: 'burst: p99 of the latency to Redis as before, after its end', bound: { most: 3 }, unit: ' s', measured: (results) => figure(lines(results, 'burst')[0], burstFigures.back) },
  { what: 'backfill of 24 hours: p99 of the latency to Redis beside it, by that before it', bound: { most: 2 }, measured: besideBackfill },
  { what: 'memory of the worker, catching up (plain, pause)', bound: { most: 350 }, unit: ' MiB', measured: (results) => mostMemory([...lines(results, 'plain'), ...lines(results, 'pause')]) },
  { what: `memory of the worker, live at ${liveRate}/s`, bound: { most: 250 }, unit: ' MiB', measured: (results) => mostMemory(lines(results, 'latency').filter(({ figures }) => figures?.[latencyFigures.asked] === liveRate)) },
  { what: 'memory of the worker, five million events in one transaction', bound: { most: 512 }, unit: ' MiB', measured: (results) => mostMemory(lines(results, 'huge').filter(({ name }) => name === fiveMillions)) },
  { what: `cases with an event more than ${slowest} times slower than a plain one, and no reason stated`, bound: { most: 0 }, measured: tooSlow },
  { what: 'idle, two pipelines, all processes of the product', bound: { most: 4 }, unit: ' % of a core', measured: (results) => figure(line(results, 'idle', everySecond), idleFigure) },
  { what: 'the same with heartbeats each 10 s', bound: { most: 1 }, unit: ' % of a core', measured: (results) => figure(line(results, 'idle', everyTenSeconds), idleFigure) },
  { what: 'every case that was compared is exact', bound: { most: 0 }, unit: ' unequal checks', measured: (results) => (results.every(({ exact }) => exact === null) ? null : results.flatMap(({ checks }) => checks).filter(({ equal }) => !equal).length) },
];

function latencyOf(sink: string, lingerMs: number, gatherMs: number | undefined, wanted: string): Described['measured'] {
  return (results) => {
    const fits = ({ name, figures = {} }: Line) =>
      name.startsWith(`${sink},`) && figures[latencyFigures.asked] === liveRate && figures[latencyFigures.linger] === lingerMs && (gatherMs === undefined || figures[latencyFigures.gather] === gatherMs);
    return most(lines(results, 'latency').filter(fits).flatMap((found) => figure(found, wanted) ?? []));
  };
}

function absorption(results: Results): number | null {
  const [found] = lines(results, 'burst');
  const [absorbed, allowed] = [figure(found, burstFigures.absorbed), figure(found, burstFigures.allowed)];
  return absorbed === null || allowed === null ? null : absorbed / allowed;
}

function besideBackfill(results: Results): number | null {
  const [first] = lines(results, 'backfill');
  const [before, beside] = [figure(first, backfillFigures.before), figure(first, backfillFigures.beside)];
  return before === null || beside === null ? null : beside / before;
}

/** Of catch-ups: what is written live comes no faster than it is written. */
function tooSlow(results: Results): number | null {
  const plain = line(results, 'plain', medianName)?.rate;
  const others = results.filter((each) => each.name !== 'plain' && each.lines.some(({ bare }) => bare !== null));
  if (plain == null || others.length === 0) return null;
  return others.filter((each) => each.slower === null && each.lines.some(({ rate, bare }) => rate !== null && bare !== null && rate * slowest < plain)).length;
}

function mostMemory(measured: readonly Line[]): number | null {
  return most(measured.flatMap(({ peakMiB }) => peakMiB ?? []));
}

function lines(results: Results, name: string): readonly Line[] {
  return results.find((each) => each.name === name)?.lines ?? [];
}

function line(results: Results, name: string, wanted: string): Line | undefined {
  return lines(results, name).find((each) => each.name === wanted);
}

function of<T>(found: Line | undefined, read: (line: Line) => T | null): T | null {
  return found === undefined ? null : read(found);
}

function figure(found: Line | undefined, name: string): number | null {
  return found?.figures?.[name] ?? null;
}

function most(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.max(...values);
}

function isMet(measured: number, bound: Bound): boolean {
  return 'least' in bound ? measured >= bound.least : 'most' in bound ? measured <= bound.most : measured < bound.below;
}

function boundText(bound: Bound): string {
  return 'least' in bound ? `at least ${bound.least}` : 'most' in bound ? `at most ${bound.most}` : `below ${bound.below}`;
}

/** Two digits, rounded towards what is worse: a goal that is missed by a little does not look met. */
function neverBetter(measured: number, bound: Bound): string {
  const round = 'least' in bound ? Math.floor : Math.ceil;
  return String(round(Number((measured * 100).toPrecision(12))) / 100);
}
