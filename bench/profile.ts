import { writeFile } from 'node:fs/promises';
import { type Profiler, Session } from 'node:inspector/promises';

export type SelfTime = { readonly name: string; readonly place: string; readonly percent: number };

/** Runs `work` under the CPU profiler. Writes a file that Chrome's developer tools open; returns where the time went. */
export async function profiled(file: string, work: () => Promise<void>): Promise<SelfTime[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 500 });
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  await writeFile(file, JSON.stringify(profile));
  return selfTimes(profile);
}

/** By function, the largest first; waiting is left out. */
function selfTimes({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): SelfTime[] {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byFunction = new Map<string, { name: string; place: string; time: number }>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id)!;
    if (functionName === '(idle)' || functionName === '(root)') continue;
    const time = timeDeltas[index] ?? 0;
    busy += time;
    const place = url ? `${url.split('/').slice(-2).join('/')}:${lineNumber + 1}` : 'native';
    const key = `${functionName} ${place}`;
    const entry = byFunction.get(key) ?? { name: functionName || '(anonymous)', place, time: 0 };
    entry.time += time;
    byFunction.set(key, entry);
  }
  return [...byFunction.values()].sort((a, b) => b.time - a.time).map(({ name, place, time }) => ({ name, place, percent: (100 * time) / busy }));
}
