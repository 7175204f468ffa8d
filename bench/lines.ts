import type { Backlog } from './backlog.ts';
import type { Line } from './case.ts';
import type { CaughtUp } from './catch-up.ts';
import { apart, type ByProcess, costOf } from './meter.ts';

/**
 * What a catch-up was, per event. `delivered`: events that the pipelines had to deliver, if they are not those of the
 * backlog alone.
 */
export function catchUpLine(name: string, { events, bare, tool, walsenderAlone }: Backlog, { seconds, cpu, written, spooled, actions, peakMiB, mainThread }: CaughtUp, delivered = events): Line {
  const figures = { [actionsFigure]: Math.round((actions * 1e6) / delivered), [mainThreadFigure]: (mainThread / seconds) * 100, [walsenderAloneFigure]: walsenderAlone };
  return { name, rate: delivered / seconds, bare, tool, cpu: perMillion(cpu, delivered), written: mapped(written, (bytes) => bytes / delivered), spooled: spooled / delivered, peakMiB, figures };
}

/** All processes together, Temporal and the load included. */
export function coresBusy({ rate, cpu }: Line): number | null {
  return rate === null || cpu === null ? null : (Object.values(cpu).reduce((sum, seconds) => sum + seconds, 0) * rate) / 1e6;
}

export function perMillion(cpu: ByProcess, events: number): ByProcess {
  return mapped(cpu, (seconds) => (seconds * 1e6) / events);
}

/** Each figure's median; of the memory the most. */
export function medianLine(name: string, lines: readonly Line[]): Line {
  const of = (read: (line: Line) => number | null) => medianOf(lines.flatMap((line) => read(line) ?? []));
  const byProcess = (read: (line: Line) => ByProcess | null) => (lines.every((line) => read(line) === null) ? null : mapped(read(lines[0]!)!, (_, process) => of((line) => read(line)![process]!)!));
  return {
    name,
    rate: of(({ rate }) => rate),
    bare: of(({ bare }) => bare),
    tool: of(({ tool }) => tool),
    cpu: byProcess(({ cpu }) => cpu),
    written: byProcess(({ written }) => written),
    spooled: of(({ spooled }) => spooled),
    peakMiB: lines.reduce<number | null>((most, { peakMiB }) => (peakMiB === null ? most : Math.max(most ?? 0, peakMiB)), null),
    // the ratio of medians of different rounds would be none
    figures: { ...ratios(of), ...medianFigures(lines, [actionsFigure, mainThreadFigure, walsenderAloneFigure]), rounds: lines.length },
  };
}

function ratios(of: (read: (line: Line) => number | null) => number | null): Record<string, number> {
  const ratio = of(ratioOf);
  const toolRatio = of(({ bare, tool }) => (bare === null || tool === null ? null : bare / tool));
  return { ...(ratio !== null && { [ratioFigure]: ratio }), ...(toolRatio !== null && { [toolRatioFigure]: toolRatio }) };
}

function medianFigures(lines: readonly Line[], names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const median = medianOf(lines.flatMap(({ figures }) => figures?.[name] ?? []));
      return median === null ? [] : [[name, median]];
    }),
  );
}

export const actionsFigure = 'Temporal actions per 1M events';
export const mainThreadFigure = 'main thread of the worker busy, %';
/** While the changes are received by nobody who does anything with them: what is below it cannot be had. */
export const walsenderAloneFigure = 'CPU s per 1M of the walsender, bare';
export const ratioFigure = 'median of the ratios';
export const toolRatioFigure = 'bare / pg_recvlogical';

/** To bare receiving in the same round. */
export function ratioOf({ rate, bare, figures }: Line): number | null {
  return figures?.[ratioFigure] ?? (rate === null || bare === null ? null : rate / bare);
}

/** Seconds for a million events without Temporal and the load. */
export function costOfLine({ cpu }: Line): number | null {
  return cpu === null ? null : costOf(cpu);
}

export function lineText(line: Line): string {
  const { rate, bare, tool, cpu, peakMiB } = line;
  const whole = (value: number) => Math.round(value).toLocaleString('en');
  const parts = [
    rate === null ? '' : `${whole(rate)}/s`,
    bare === null ? '' : `bare ${whole(bare)}/s, ratio ${ratioOf(line)!.toFixed(2)}`,
    tool === null ? '' : `pg_recvlogical ${whole(tool)}/s`,
    cpu === null ? '' : `CPU s per 1M ${costOf(cpu).toFixed(1)} (${Object.entries(cpu).map(([name, seconds]) => `${name} ${seconds.toFixed(1)}${apart.has(name) ? ' apart' : ''}`).join(', ')})`,
    peakMiB === null ? '' : `worker at most ${Math.ceil(peakMiB)} MiB`,
    ...Object.entries(line.figures ?? {}).map(([name, value]) => `${name} ${figureText(value)}`),
  ];
  return `${line.name}: ${parts.filter(Boolean).join('; ')}`;
}

/** Three digits are enough, and counts are whole. */
export function figureText(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)));
}

export function medianOf(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function mapped(values: ByProcess, change: (value: number, name: string) => number): ByProcess {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, name)]));
}
