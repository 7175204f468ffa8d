import { spawn } from 'node:child_process';
import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import type { Command, StopStep } from '../embedded/service.ts';
import { type Identity, identify, stopProcess } from './identity.ts';

const firstDelayMs = 100;
const longestDelayMs = 10_000;
/** A process that lived this long has started, and done something: it starts over with the first delay. */
const settledMs = 8_000;
const logLimitBytes = 64 * 1024 * 1024;

/**
 * A process that is kept running.
 *
 *   idle --start--> running --dies--> waiting --delay over--> running
 *                      \------stop------|-----> stopped --start--> running
 */
export class Child {
  readonly name: string;
  readonly stopSteps: readonly StopStep[];
  readonly logFile: string;
  identity: Identity | undefined;
  /** Why it ended each time without having been stopped: a signal or an exit code. */
  readonly endings: string[] = [];
  #prepare: () => Promise<Command>;
  #notify: ChildListener;
  #stopped = false;
  #delayMs = firstDelayMs;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.stopSteps = options.stop;
    this.logFile = options.logFile;
    this.#prepare = options.prepare;
    this.#notify = options.listener;
  }

  get deaths(): number {
    return this.endings.length;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    await this.#spawn();
  }

  async #spawn(): Promise<void> {
    const command = await this.#prepare();
    if (this.#stopped) return;
    const log = openLog(this.logFile);
    const startedAt = Date.now();
    writeSync(log, `--- ${new Date(startedAt).toISOString()} starting ${this.name}\n`);
    // A session of its own: Ctrl-C on the terminal reaches the supervisor only, which stops things in order.
    const child = spawn(command.program, command.args, {
      ...command.user,
      cwd: command.cwd ?? '/',
      env: command.environment,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    this.identity = identity;
    this.#notify.changed();
    // the end of one that was stopped may be told after the next was started
    const died = (why: string) => this.identity === identity && this.#died(why, startedAt);
    child.once('error', (error) => died(error.message));
    child.once('exit', (code, signal) => died(signal ?? `exit code ${code}`));
  }

  async stop(steps: readonly StopStep[] = this.stopSteps): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.identity) await stopProcess(this.identity, steps);
    this.identity = undefined;
    this.#notify.changed();
  }

  #died(why: string, startedAt: number): void {
    if (this.#stopped || this.#timer) return;
    this.identity = undefined;
    this.endings.push(why);
    this.#notify.changed();
    if (Date.now() - startedAt > settledMs) this.#delayMs = firstDelayMs;
    this.#notify.report(`${this.name} ended (${why}); starting it again in ${this.#delayMs / 1000} s`);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#spawn().catch((error: Error) => this.#died(error.message, Date.now()));
    }, this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, longestDelayMs);
  }
}

export type ChildOptions = {
  readonly name: string;
  readonly logFile: string;
  readonly stop: readonly StopStep[];
  readonly prepare: () => Promise<Command>;
  readonly listener: ChildListener;
};

export type ChildListener = { changed(): void; report(line: string): void };

/** One old log is kept, so a log never grows past twice the limit by restarts. */
function openLog(file: string): number {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > logLimitBytes) renameSync(file, `${file}.1`);
  return openSync(file, 'a');
}
