import { typed } from './checkout.ts';
import { type RunningInstance, startInstance } from './start.ts';

/** What a supervisor says to whoever started it. */
export type Message =
  | { readonly tag: 'progress'; readonly line: string }
  /** Everything is up; `sick`: but not every pipeline runs. */
  | { readonly tag: 'ready'; readonly summary: string; readonly sick?: string }
  | { readonly tag: 'failed'; readonly reason: string };

export type RunOptions = {
  readonly dataDir: string;
  readonly portBase: number;
  readonly rate: number | undefined;
  readonly tell: (message: Message) => void;
};

/** Starts the instance, keeps it until a signal, stops it, and returns. Sets the exit code. */
export async function runSupervisor({ tell, ...options }: RunOptions): Promise<void> {
  const report = (line: string) => tell({ tag: 'progress', line });
  const asked = new AbortController();
  const whenAsked = new Promise<void>((resolve) => asked.signal.addEventListener('abort', () => resolve()));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      report(asked.signal.aborted ? 'still stopping' : 'stopping');
      asked.abort(new Stopped());
    });
  }
  // A supervisor that dies leaves everything else unattended: it goes on, and says so.
  process.on('uncaughtException', (error) => report(`unexpected: ${error.stack}`));

  let instance: RunningInstance;
  try {
    instance = await startInstance({ ...options, environment: process.env, report, signal: asked.signal });
  } catch (error) {
    process.exitCode = 1;
    tell({ tag: 'failed', reason: error instanceof Error ? error.message : String(error) });
    return;
  }
  const { sick } = instance;
  if (sick !== undefined) {
    process.exitCode = 1;
    report(sick);
  }
  tell({ tag: 'ready', summary: summaryOf(instance), ...(sick === undefined ? {} : { sick }) });
  await whenAsked;
  const startedAt = performance.now();
  await instance.stop();
  report(`stopped in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

class Stopped extends Error {
  override readonly name = 'Stopped';
  constructor() {
    super('Stopped before everything was up.');
  }
}

function summaryOf({ config, startSeconds, downloadSeconds, sick }: RunningInstance): string {
  const downloads = downloadSeconds > 0.5 ? `, beside ${downloadSeconds.toFixed(1)} s of downloads` : '';
  return [
    '',
    `${sick === undefined ? 'Ready in' : 'Up, but not ready, after'} ${startSeconds.toFixed(1)} s${downloads}.`,
    `  Dashboard        http://127.0.0.1:${config.apiPort}`,
    ...(config.temporalUiUrl ? [`  Temporal Web UI  ${config.temporalUiUrl}`] : []),
    `  Addresses        ${typed('status', config.dataDir)}`,
  ].join('\n');
}
