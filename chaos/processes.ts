import { readFileSync } from 'node:fs';
import type { StopStep } from '../infra/embedded/service.ts';
import { endpoints, type EndpointName } from '../infra/supervisor/endpoints.ts';
import { type Identity, isAlive } from '../infra/supervisor/identity.ts';
import { startProcess } from '../infra/supervisor/product.ts';
import { startMs, waitUntil } from '../infra/supervisor/wait.ts';
import { until } from './until.ts';
import type { ChaosInstance } from './instance.ts';

export type ProcessName = 'postgres' | 'redis' | 'clickhouse' | 'temporal' | 'receiver' | 'worker' | 'worker-2' | 'api' | 'load';

/** The processes of the instance by name. What dies is started again by its supervisor; what is stopped stays so. */
export class Processes {
  readonly #instance: ChaosInstance;
  #hasSecond = false;
  /** Ends that somebody here has brought about, by process and as `endings` says them. */
  readonly #ordered: string[] = [];

  constructor(instance: ChaosInstance) {
    this.#instance = instance;
  }

  /** Undefined while it does not run. */
  identity(name: ProcessName): Identity | undefined {
    return name === 'worker-2' && !this.#hasSecond ? undefined : this.#instance.roster.child(name).identity;
  }

  /** Throws while it does not run. */
  pid(name: ProcessName): number {
    const identity = this.identity(name);
    if (!identity) throw new Error(`${name} does not run just now.`);
    return identity.pid;
  }

  /** Sends the signal and returns the process that got it. */
  signal(name: ProcessName, signal: NodeJS.Signals): Identity {
    const identity = this.identity(name);
    if (!identity) throw new Error(`${name} does not run just now, so it cannot get ${signal}.`);
    process.kill(identity.pid, signal);
    if (signal === 'SIGKILL') this.ordered(name, 'SIGKILL');
    if (signal === 'SIGTERM') this.ordered(name, 'exit code 0');
    return identity;
  }

  /** That it ends so, once, is a fault's doing. */
  ordered(name: ProcessName, ending: string): void {
    this.#ordered.push(`${name} ${ending}`);
  }

  /** How it ended by itself, or by the hand of somebody else (a kernel that is out of memory kills with SIGKILL too). */
  unordered(name: ProcessName): readonly string[] {
    const ordered = this.#ordered.filter((each) => each.startsWith(`${name} `)).map((each) => each.slice(name.length + 1));
    return this.endings(name).filter((ending) => {
      const place = ordered.indexOf(ending);
      if (place >= 0) ordered.splice(place, 1);
      return place < 0;
    });
  }

  /** Why it has ended each time, not counting what was stopped: a signal or an exit code. */
  endings(name: ProcessName): readonly string[] {
    return name === 'worker-2' && !this.#hasSecond ? [] : this.#instance.roster.child(name).endings;
  }

  /** SIGKILL, and gone. Its supervisor starts it again. */
  async kill(name: ProcessName, signal: AbortSignal): Promise<number> {
    const identity = this.signal(name, 'SIGKILL');
    await this.gone(identity, signal);
    return identity.pid;
  }

  async gone(identity: Identity, signal: AbortSignal, timeoutMs = 10_000): Promise<void> {
    await until(`process ${identity.pid} to end`, () => !isAlive(identity), { timeoutMs, everyMs: 5, signal });
  }

  /** Stops it and keeps it so; the steps are how (by default as in an orderly stop). Returns the milliseconds it took. */
  async stop(name: ProcessName, steps?: readonly StopStep[]): Promise<number> {
    const startedAt = performance.now();
    await this.#instance.roster.child(name).stop(steps);
    return performance.now() - startedAt;
  }

  /** Starts what was stopped, and waits until it answers. */
  async start(name: ProcessName, signal: AbortSignal): Promise<void> {
    await this.#instance.roster.child(name).start();
    await this.answers(name, signal);
  }

  async answers(name: ProcessName, signal: AbortSignal): Promise<void> {
    if (name === 'load') return;
    const { config } = this.#instance.start.plan;
    const own = (Object.keys(endpoints) as EndpointName[]).filter((each) => endpoints[each].process === name && each !== 'temporalUi');
    const check = async () => {
      if (name === 'worker-2') await endpoints.worker.check(`http://127.0.0.1:${this.#instance.secondWorkerPort}`);
      for (const each of own) await endpoints[each].check(endpoints[each].url(config)!);
    };
    await waitUntil(check, { what: name, timeoutMs: startMs, everyMs: 50, report: this.#instance.start.report, signal, logFile: this.#instance.roster.child(name).logFile });
  }

  /** A worker beside the first one, with the same data directory. */
  async startSecondWorker(signal: AbortSignal): Promise<void> {
    if (this.#hasSecond) return this.start('worker-2', signal);
    const { workerStart, workerImports, secondWorkerPort } = this.#instance;
    const start = { ...workerStart, signal, plan: { ...workerStart.plan, config: { ...workerStart.plan.config, workerPort: secondWorkerPort } } };
    this.#hasSecond = true;
    await startProcess(start, { name: 'worker-2', entry: 'workers/main.ts', imports: workerImports, endpoint: 'worker', stopMs: 10_000 });
  }

  /** As ps(1) shows it: T is stopped. See proc(5), field 3 of `stat`. */
  stateOf({ pid }: Identity): string {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  }
}
