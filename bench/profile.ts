import { writeFile } from 'node:fs/promises';
import { type Profiler, Session } from 'node:inspector/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { type CpuProfile, summarized } from './flame.ts';

/** Runs `work` under the CPU profiler. Writes a file that Chrome's developer tools open; returns where the time went. */
export async function profiled(file: string, work: () => Promise<void>): Promise<CpuProfile> {
  const session = new Session();
  session.connect();
  try {
    return await recorded(file, (method, parameters) => session.post(method as 'Profiler.stop', parameters as never), work);
  } finally {
    session.disconnect();
  }
}

/** The same for another Node process of this machine, through its inspector, which stays open. */
export async function profiledProcess(pid: number, file: string, work: () => Promise<void>): Promise<CpuProfile> {
  process.kill(pid, 'SIGUSR1');
  const socket = new WebSocket(await inspectorUrl());
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error(`The inspector of process ${pid} does not answer on ${inspectorAddress}.`)));
  });
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
    waiting.get(id)?.(result);
  });
  let calls = 0;
  const post = (method: string, params?: object) =>
    new Promise<unknown>((resolve) => {
      waiting.set(++calls, resolve);
      socket.send(JSON.stringify({ id: calls, method, params }));
    });
  try {
    const { result } = (await post('Runtime.evaluate', { expression: 'process.pid' })) as { result: { value: number } };
    if (result.value !== pid) throw new Error(`${inspectorAddress} is the inspector of process ${result.value}, not of ${pid}. End the other one's inspection first.`);
    return await recorded(file, post, work);
  } finally {
    socket.close();
  }
}

type Post = (method: string, parameters?: object) => Promise<unknown>;

async function recorded(file: string, post: Post, work: () => Promise<void>): Promise<CpuProfile> {
  await post('Profiler.enable');
  await post('Profiler.setSamplingInterval', { interval: 500 });
  await post('Profiler.start');
  await work();
  const { profile } = (await post('Profiler.stop')) as { profile: Profiler.Profile };
  await writeFile(file, JSON.stringify(profile));
  return summarized(profile);
}

const inspectorAddress = '127.0.0.1:9229';

/** A process opens its inspector a moment after the signal. */
async function inspectorUrl(): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      const [target] = (await (await fetch(`http://${inspectorAddress}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
      return target!.webSocketDebuggerUrl;
    } catch (error) {
      if (tries === 50) throw error;
      await wait(100);
    }
  }
}
