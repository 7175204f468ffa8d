import type { Profiler } from 'node:inspector/promises';

/** Where the time of a process went, without waiting. */
export type CpuProfile = {
  /** By function, the largest first. */
  readonly times: readonly SelfTime[];
  readonly flame: Flame;
};

export type SelfTime = { readonly name: string; readonly place: string; readonly percent: number };

/** A function as it was called from those above it; what is too small to be seen is left out. */
export type Flame = { readonly name: string; readonly percent: number; readonly calls: readonly Flame[] };

const mostTimes = 40;
/** Narrower than a pixel. */
const leastPercent = 0.1;

export function summarized({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): CpuProfile {
  const selfByNode = new Map<number, number>();
  for (const [index, id] of samples.entries()) selfByNode.set(id, (selfByNode.get(id) ?? 0) + (timeDeltas[index] ?? 0));
  const busy = nodes.filter(({ callFrame: { functionName } }) => functionName !== '(idle)' && functionName !== '(root)');
  const total = busy.reduce((sum, { id }) => sum + (selfByNode.get(id) ?? 0), 0);
  const percent = (microseconds: number) => (total === 0 ? 0 : (100 * microseconds) / total);

  const byFunction = new Map<string, { name: string; place: string; time: number }>();
  for (const { id, callFrame } of busy) {
    const [name, place] = [nameOf(callFrame), placeOf(callFrame)];
    const entry = byFunction.get(`${name} ${place}`) ?? { name, place, time: 0 };
    entry.time += selfByNode.get(id) ?? 0;
    byFunction.set(`${name} ${place}`, entry);
  }
  const times = [...byFunction.values()].sort((a, b) => b.time - a.time).slice(0, mostTimes).map(({ name, place, time }) => ({ name, place, percent: percent(time) }));

  const nodeById = new Map(busy.map((node) => [node.id, node]));
  const flameOf = (name: string, own: number, children: readonly number[]): Flame => {
    const calls = children.flatMap((id) => {
      const node = nodeById.get(id);
      return node ? [flameOf(`${nameOf(node.callFrame)} ${placeOf(node.callFrame)}`, selfByNode.get(id) ?? 0, node.children ?? [])] : [];
    });
    return { name, percent: percent(own) + calls.reduce((sum, call) => sum + call.percent, 0), calls: calls.filter((call) => call.percent >= leastPercent).sort((a, b) => b.percent - a.percent) };
  };
  const root = nodes.find(({ callFrame: { functionName } }) => functionName === '(root)');
  return { times, flame: flameOf('all', 0, root?.children ?? []) };
}

export function selfTimesText(times: readonly SelfTime[]): string {
  return times.map(({ name, place, percent }) => `${percent.toFixed(1).padStart(5)} %  ${name}  ${place}`).join('\n');
}

function nameOf({ functionName }: Profiler.ProfileNode['callFrame']): string {
  return functionName || '(anonymous)';
}

function placeOf({ url, lineNumber }: Profiler.ProfileNode['callFrame']): string {
  return url ? `${url.split('/').slice(-2).join('/')}:${lineNumber + 1}` : 'native';
}

const width = 1_200;
const rowHeight = 18;
const widthOfLetter = 6.6;

/** As a picture without a script: callers below, what they call above; the whole name shows under the pointer. */
export function flameSvg(flame: Flame): string {
  const depth = depthOf(flame);
  const height = depth * rowHeight;
  const boxes: string[] = [];
  const draw = ({ name, percent, calls }: Flame, from: number, level: number) => {
    const [x, y, wide] = [(from * width) / 100, height - (level + 1) * rowHeight, (percent * width) / 100];
    const letters = Math.floor((wide - 6) / widthOfLetter);
    const text = letters < 3 ? '' : `<text x="${(x + 3).toFixed(1)}" y="${y + 13}">${escaped(name.length > letters ? `${name.slice(0, letters - 1)}…` : name)}</text>`;
    boxes.push(`<g><title>${escaped(name)}: ${percent.toFixed(1)} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${rowHeight - 1}" fill="${colorOf(name)}"/>${text}</g>`);
    let next = from;
    for (const call of calls) {
      draw(call, next, level + 1);
      next += call.percent;
    }
  };
  draw(flame, 0, 0);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="11"><rect width="100%" height="100%" fill="#fff"/>\n${boxes.join('\n')}\n</svg>\n`;
}

function depthOf({ calls }: Flame): number {
  return 1 + Math.max(0, ...calls.map(depthOf));
}

/** The same for the same name. */
function colorOf(name: string): string {
  const hash = Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 997, 7);
  return `hsl(${20 + (hash % 35)} 85% ${62 + (hash % 17)}%)`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
