import type { CaseResult, Line } from './case.ts';
import { axes } from './cases/growth.ts';
import { medianName } from './cases/plain.ts';
import { coresBusy, mainThreadFigure, walsenderAloneFigure } from './lines.ts';
import { table } from './markdown.ts';
import { apart, type ByProcess } from './meter.ts';
import { exactText, lineCells, lineColumns, makeRun, metText, type Run } from './report.ts';

/** Beside the page. */
export const flameFile = 'performance-worker.svg';

/** One run out of several: of a case that more than one has, the later one's. */
export function merged(runs: readonly Run[]): Run {
  const last = runs.at(-1)!;
  const cases = new Map(runs.flatMap((run) => run.cases).map((each) => [each.name, each]));
  const joined = (of: (run: Run) => string) => [...new Set(runs.map(of))].join('; ');
  return makeRun({ at: last.at, commit: joined(({ commit }) => commit), machine: joined(({ machine }) => machine), command: joined(({ command }) => command), seconds: runs.reduce((sum, { seconds }) => sum + seconds, 0), cases: [...cases.values()] });
}

/** docs/performance.md, out of what the benchmark said. */
export function performancePage(run: Run): string {
  const plain = run.cases.find(({ name }) => name === 'plain')?.lines.find(({ name }) => name === medianName);
  return [
    '# How fast it is, and what it costs',
    '',
    '<!-- Made by ./sluice bench --full out of what it measured. Do not edit. -->',
    '',
    `${run.at.slice(0, 10)}, commit ${run.commit}, on ${run.machine}: PostgreSQL, Redis, ClickHouse, Temporal, the product, the receiver and the load on the same machine. ${run.cases.length} cases in ${Math.round(run.seconds / 60)} minutes.`,
    '',
    '```',
    run.command.replaceAll('; ', '\n'),
    '```',
    '',
    '## What was aimed at',
    '',
    'What is missed is not rounded into a hit: figures here are rounded towards what is worse.',
    '',
    ...table(['goal', 'aimed at', 'measured', ''], run.goals.map(({ what, bound, text, met }) => [what, bound, text, met === false ? `**${metText(met)}**` : metText(met)])),
    '',
    '## How to read it',
    '',
    '- **events/s**: from `resume` until every lane of the pipeline has everything in its destination, by the fences there; Temporal and the API are on.',
    '- **bare**: receiving the same changes in the same round from a slot of its own, and only counting them. **ratio**: events/s divided by it. **pg_recvlogical**: the same to /dev/null, if it is installed.',
    '- **CPU s per 1M**: seconds of all processes (walsender, PostgreSQL, Redis, ClickHouse, worker, API, receiver) for a million events; Temporal and whatever writes the load are left out.',
    '- **worker MiB**: the most that the worker had resident in that measurement alone (the peak is reset before each). The program itself is in it; pages that the kernel keeps of files (the spool) are not.',
    '- **exact**: after the case every destination was compared with SQL over the source: row by row where it says `verify`, by counts, sums and checksums where there were only inserts.',
    '',
    '## What was measured',
    ...run.cases.flatMap(caseSection),
    ...growthSection(run.cases.flatMap(({ lines }) => lines)),
    ...(plain ? costSection(plain) : []),
    ...boundsSection(run.cases),
    ...timeSection(run.cases),
    '',
  ].join('\n');
}

function caseSection(each: CaseResult): string[] {
  const { name, what, slower, lines, checks, error } = each;
  const unequal = checks.filter(({ equal }) => !equal).map(({ sink, what: compared, expected, actual }) => `- **Not exact**: ${sink}, ${compared}: ${actual}, expected ${expected}`);
  return [
    '',
    `### ${name}`,
    '',
    `${what} \`./sluice bench --only ${name}\``,
    ...(lines.length > 0 ? ['', ...table(lineColumns, lineCells(each))] : []),
    ...(slower === null ? [] : ['', `Why an event may take longer than a plain one: ${slower}.`]),
    ...(error === null ? [] : ['', `**Not done to its end**: ${error}`]),
    ...(unequal.length === 0 ? [] : ['', ...unequal]),
    ...(checks.length === 0 ? [] : ['', `${checks.length} comparisons; all equal: ${exactText(each.exact)}.`]),
  ];
}

function growthSection(lines: readonly Line[]): string[] {
  const plots = axes.flatMap((axis) => {
    const points = lines.filter(({ point }) => point?.axis === axis).sort((a, b) => a.point!.at - b.point!.at);
    return points.length < 2 ? [] : ['', `### By ${axis}`, '', ...plot(axis, points)];
  });
  return plots.length === 0 ? [] : ['', '## How cost grows', '', 'Bars: events/s through all sinks. Line: bare receiving of the same changes.', ...plots];
}

/** GitHub draws it. */
function plot(axis: string, points: readonly Line[]): string[] {
  const rates = points.map(({ rate }) => Math.round(rate ?? 0));
  const bare = points.map((point) => Math.round(point.bare ?? 0));
  return [
    '```mermaid',
    'xychart-beta',
    `  x-axis "${axis}" [${points.map(({ point }) => `"${point!.at.toLocaleString('en')}"`).join(', ')}]`,
    `  y-axis "events/s" 0 --> ${Math.ceil(Math.max(...rates, ...bare) / 10_000) * 10_000}`,
    `  bar [${rates.join(', ')}]`,
    `  line [${bare.join(', ')}]`,
    '```',
  ];
}

function costSection({ cpu, written, spooled, figures }: Line): string[] {
  if (cpu === null || written === null) return [];
  const alone = figures?.[walsenderAloneFigure];
  const cell = (values: ByProcess, name: string, digits: number) => (name in values ? values[name]!.toFixed(digits) : '-');
  const total = Object.values(written).reduce((sum, bytes) => sum + bytes, 0);
  return [
    '',
    '## What a plain event costs',
    '',
    'Seconds of CPU for a million events, and bytes for an event that each process hands to the file system (pages made dirty; the walsender writes nothing of its own).',
    '',
    ...table(['process', 'CPU s per 1M', 'bytes written an event'], Object.keys(cpu).map((name) => [apart.has(name) ? `${name} (not in the sum)` : name, cell(cpu, name, 2), cell(written, name, 0)])),
    '',
    `All together ${total.toFixed(0)} bytes an event${spooled === null ? '' : `, of which the spool is ${spooled.toFixed(0)}`}.`,
    ...(alone === undefined ? [] : ['', `When the same changes are only received (bare), the walsender alone takes ${alone.toFixed(1)} CPU seconds for a million: PostgreSQL decodes its WAL at that price on this machine, whoever reads.`]),
  ];
}

/** What has the machine to itself is bounded by its processors or by the worker's one thread of JavaScript, and else waits. */
function boundsSection(cases: readonly CaseResult[]): string[] {
  const rows = cases.flatMap(({ name, lines }) =>
    lines.flatMap((line) => {
      const [cores, thread] = [coresBusy(line), line.figures?.[mainThreadFigure]];
      return cores === null || thread === undefined ? [] : [[`${name}: ${line.name}`, cores.toFixed(2), `${thread.toFixed(0)} %`, greatest(line.cpu!)]];
    }),
  );
  if (rows.length === 0) return [];
  return [
    '',
    '## What bounds it',
    '',
    'Processors busy with all of it, PostgreSQL, the destinations and Temporal included; how busy the worker\'s main thread was, where all JavaScript runs; and who took most. Where all processors are busy, a thread of its own for decoding would move work and save none.',
    '',
    ...table(['', 'processors busy', 'main thread', 'who took most, CPU s per 1M'], rows),
  ];
}

function greatest(cpu: ByProcess): string {
  const sorted = Object.entries(cpu).sort(([, a], [, b]) => b - a);
  return sorted.slice(0, 3).map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`).join(', ');
}

function timeSection(cases: readonly CaseResult[]): string[] {
  const profile = cases.find((each) => each.profile !== null)?.profile;
  if (!profile) return [];
  return [
    '',
    '## Where the time of the worker goes',
    '',
    'Of a plain catch-up under the profiler, which costs and is no measurement. Waiting is left out. Workflows and the lanes share the main thread; compression, checksums and files have threads that the profiler does not see.',
    '',
    `![Flame graph of the worker](${flameFile})`,
    '',
    ...table(['function', 'place', 'own time'], profile.times.slice(0, 25).map(({ name, place, percent }) => [`\`${name}\``, place, `${percent.toFixed(1)} %`])),
  ];
}
