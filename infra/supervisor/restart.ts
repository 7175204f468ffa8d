import { join } from 'node:path';
import { endpoints } from './endpoints.ts';
import { stopProcess } from './identity.ts';
import { configOf, readInstance } from './instance.ts';
import { startMs, waitUntil } from './wait.ts';

/** Ends these processes of an instance, one after the other, and waits until its supervisor has them running again, with the files as they are now. */
export async function restart(dataDir: string, names: readonly ('worker' | 'api')[], report: (line: string) => void): Promise<void> {
  for (const name of names) {
    const before = readInstance(dataDir)?.processes.find((process) => process.name === name);
    if (!before) continue;
    await stopProcess(before, before.stop);
    const config = configOf(dataDir);
    const endpoint = endpoints[name];
    await waitUntil(() => endpoint.check(endpoint.url(config)!), { what: name, timeoutMs: startMs, signal: new AbortController().signal, logFile: join(dataDir, 'logs', `${name}.log`), report });
  }
}
