import { ApplicationFailure } from '@temporalio/common';
import { ConfigurationError } from '../../connectors/sink.ts';
import { BadInput } from '../../core/bad-input.ts';
import type { StaleRange } from '../../core/repair.ts';
import type { Position } from '../../core/position.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { failureOf } from '../../activities/failures.ts';
import { configurationFailure } from '../../core/failure-types.ts';
import { laneStates, type LaneState } from '../../core/lane-state.ts';
import { pipelineStates, type PipelineState } from '../../core/pipeline-state.ts';
import { neededFences, spoolHeaders } from './check.ts';
import { Violation } from './compare.ts';
import type { Part } from './plan.ts';
import { Worker } from './worker.ts';
import type { World } from './world.ts';

const parts: readonly Part[] = ['capture', 'aggregate', 'enriched', 'live', 'external', 'out'];

type Attempt = { readonly worker: Worker; readonly asked: AbortController; readonly over: Promise<void>; readonly finish: () => void };

/**
 * What the workflow, Temporal and the supervisor do, without them: step after step of each part on some worker, another
 * attempt when one fails or its worker is not heard of, all steps ended before a pause or a fresh run, workers replaced.
 */
export class Orchestrator {
  readonly #world: World;
  readonly workers: Worker[] = [];
  readonly #attempts = new Map<string, Attempt>();
  /** Backfills that go on. */
  backfills = 0;
  /** Likewise. */
  rewrites = 0;
  readonly #states = new Map<Part, { state: LaneState; sentence?: string; cause?: unknown }>(parts.map((part) => [part, { state: 'running' }]));
  /** Let go on while a step of theirs ran. */
  readonly #resumed = new Set<Part>();
  /** The last migration that is over, as far as was heard. */
  #number = 0;
  /** What the capture waits for. */
  #undecided: number | undefined;
  #pipeline: PipelineState = pipelineStates.loading.loaded;
  /** Parts wait for this. */
  #changed = Promise.withResolvers<void>();
  #nextWorker = 1;
  /** What no backfill may meet. */
  broken: unknown;

  constructor(world: World) {
    this.#world = world;
    this.start();
    for (const part of parts) void this.#loop(part);
  }

  /** What stands still for good, with the sentence. */
  get parked(): ReadonlyMap<Part, { sentence: string; cause: unknown }> {
    return new Map([...this.#states].flatMap(([part, { state, sentence, cause }]) => (state === 'parked' || state === 'broken' ? [[part, { sentence: sentence ?? '', cause }] as const] : [])));
  }

  start(): Worker {
    const worker = new Worker(this.#world, this.#world.scheduler.process(`worker ${this.#nextWorker++}`));
    this.workers.push(worker);
    this.#change();
    return worker;
  }

  /** Any that runs; undefined: none does. */
  running(): Worker | undefined {
    return this.workers.findLast(({ process }) => process.state === 'running');
  }

  /** Killed, and replaced by the supervisor after a while. */
  kill(worker: Worker, replaceAfterMs: number): void {
    if (worker.process.state === 'dead') return;
    worker.process.kill();
    this.#world.source.processDied(worker.process);
    this.workers.splice(this.workers.indexOf(worker), 1);
    this.#missed(worker);
    this.#world.scheduler.timer(undefined, replaceAfterMs, () => {
      if (!this.running()) this.start();
    });
  }

  /** It stands still; another one is started, as by an operator. */
  stop(worker: Worker, forMs: number): void {
    worker.process.stop();
    this.#missed(worker);
    this.#world.scheduler.timer(undefined, 300, () => {
      if (!this.running()) this.start();
    });
    this.#world.scheduler.timer(undefined, forMs, () => this.wake(worker));
  }

  wake({ process }: Worker): void {
    process.wake();
    this.#change();
  }

  /** Ends its steps, then its process. */
  retire(worker: Worker): void {
    if (worker.process.state !== 'running') return;
    this.workers.splice(this.workers.indexOf(worker), 1);
    if (!this.running()) this.start();
    const own = [...this.#attempts.values()].filter((attempt) => attempt.worker === worker);
    for (const { asked } of own) asked.abort();
    void this.#exit(worker, own);
  }

  async #exit({ process }: Worker, attempts: readonly Attempt[]): Promise<void> {
    await Promise.all(attempts.map(({ over }) => over));
    process.kill();
    this.#world.source.processDied(process);
  }

  /** The server has given an attempt up; it goes on where it is, until it hears of that. */
  giveUp(part: string): void {
    this.#attempts.get(part)?.finish();
  }

  pause(forMs: number): void {
    this.#pipeline = pipelineStates[this.#pipeline].pause;
    for (const { asked } of this.#attempts.values()) asked.abort();
    void this.#stand(forMs);
  }

  async #stand(forMs: number): Promise<void> {
    while (this.#attempts.size > 0) await Promise.all([...this.#attempts.values()].map(({ over }) => over));
    this.#pipeline = pipelineStates[this.#pipeline].stopped;
    this.#world.scheduler.timer(undefined, forMs, () => this.resume());
  }

  resume(): void {
    this.#pipeline = pipelineStates[pipelineStates[this.#pipeline].resume].loaded;
    this.#change();
  }

  /** Attempt after attempt on some worker, until it is done or was refused; then its panes are let go. */
  async backfill(name: string, range: PaneRange, views: readonly string[] = Object.keys(this.#world.pipeline.views)): Promise<void> {
    this.backfills++;
    await this.#untilDone(name, (worker, asked) => worker.backfill(name, range, views, asked));
    await this.#untilDone(name, (worker) => worker.endBackfill(name));
    this.backfills--;
  }

  /** All rows of the versioned table are written again, and what was parked for it goes on. */
  async rewrite(name: string): Promise<void> {
    this.rewrites++;
    // each attempt has a name of its own
    let attempts = 0;
    await this.#untilDone(name, (worker, asked) => worker.rewrite(`${name} ${attempts++}`, asked));
    for (const part of ['enriched', 'capture'] as const) this.#goOn(part);
    this.rewrites--;
  }

  /** What a step of it that runs now is refused for may be mended. */
  #goOn(part: Part): void {
    if (this.#attempts.has(part)) this.#resumed.add(part);
    if (this.#states.get(part)!.state === 'parked') this.#states.set(part, { state: 'running' });
    this.#change();
  }

  /** Windows with late changes, range after range, as the repair workflow does. */
  async repair(): Promise<void> {
    this.backfills++;
    let ranges: readonly StaleRange[] = [];
    const look = async (worker: Worker) => {
      ranges = await worker.stale();
      return true;
    };
    await this.#untilDone('repair', look);
    for (const { fromMs, toMs, views } of ranges) await this.backfill(`repair ${views.join()} ${fromMs}`, { fromMs, toMs }, views);
    this.backfills--;
  }

  async #untilDone(name: string, work: (worker: Worker, asked: AbortSignal) => Promise<boolean>): Promise<void> {
    for (let isOver = false; !isOver; ) {
      const worker = this.running();
      if (worker) isOver = await this.#once(name, worker, work);
      else await this.#changed.promise;
      if (!isOver) await this.#sleep(200);
    }
  }

  async #once(name: string, worker: Worker, work: (worker: Worker, asked: AbortSignal) => Promise<boolean>): Promise<boolean> {
    const asked = new AbortController();
    const { promise: over, resolve: finish } = Promise.withResolvers<void>();
    this.#attempts.set(name, { worker, asked, over, finish });
    const outcome = work(worker, asked.signal).then((isDone) => (isDone ? ('done' as const) : ('time' as const)), (error: unknown) => error);
    const ended = await Promise.race([outcome, over]);
    this.#attempts.delete(name);
    finish();
    if (ended instanceof Violation || ended instanceof RangeError) this.broken ??= ended;
    return ended === 'done' || ended instanceof BadInput || ended instanceof ConfigurationError;
  }

  /** A fresh run takes over when nothing runs (E21). */
  rotate(): void {
    for (const { asked } of this.#attempts.values()) asked.abort();
  }

  async #loop(part: Part): Promise<void> {
    for (;;) {
      const worker = this.running();
      if (!worker || !this.#mayRun(part) || (this.#pipeline !== 'running' && this.#pipeline !== 'parked')) {
        await this.#changed.promise;
        continue;
      }
      const waitMs = await this.#attempt(part, worker);
      if (waitMs > 0) await this.#sleep(waitMs);
    }
  }

  /** What comes while a change of columns waits is kept. */
  #mayRun(part: Part): boolean {
    const { state } = this.#states.get(part)!;
    return state === 'running' || state === 'migrating';
  }

  /** Returns how long to wait before the next. */
  async #attempt(part: Part, worker: Worker): Promise<number> {
    const asked = new AbortController();
    const { promise: over, resolve: finish } = Promise.withResolvers<void>();
    const attempt: Attempt = { worker, asked, over, finish };
    this.#resumed.delete(part);
    this.#attempts.set(part, attempt);
    const waitMs = await Promise.race([this.#step(attempt, part), over.then(() => 0)]);
    this.#attempts.delete(part);
    finish();
    return waitMs;
  }

  async #step(attempt: Attempt, part: Part): Promise<number> {
    const undecided = part === 'capture' ? this.#undecided : undefined;
    try {
      const ended = await attempt.worker.step(part, attempt.asked.signal, { number: this.#number, undecided });
      if (ended === 'changed' && part === 'capture' && undecided === undefined && this.#attempts.get(part) === attempt && this.#meet()) return 0;
      return ended === 'superseded' || ended === 'changed' ? 1_000 : 0;
    } catch (error) {
      // an attempt that was given up tells nobody
      if (this.#attempts.get(part) === attempt) this.#failed(part, error);
      return 200;
    }
  }

  /** What follows has other columns. False: that is over already, and the workflow has heard of it since. */
  #meet(): boolean {
    const { changes } = this.#world.state;
    const number = changes.due(this.#number);
    if (number === undefined || this.#undecided !== undefined || changes.change(number).state === 'done') return false;
    this.#undecided = number;
    this.#states.set('capture', { state: laneStates[this.#states.get('capture')!.state].change });
    void this.#migrate(number);
    return true;
  }

  /** As the migration's workflow, of somebody who approves; one who is told that it was cancelled has it asked again. */
  async #migrate(number: number): Promise<void> {
    const { changes } = this.#world.state;
    const decidedAfterMs = this.#world.plan.items.flatMap((item) => (item.kind === 'column renamed' ? [item.decidedAfterMs] : []));
    await this.#sleep(decidedAfterMs[number - 1] ?? 0);
    changes.decide(number);
    const isDrained = await this.#drained(changes.change(number).position!);
    if (isDrained) changes.settle(number);
    else changes.cancel(number);
    await this.#sleep(50);
    if (isDrained) this.#number = number;
    this.#undecided = undefined;
    const { state, ...rest } = this.#states.get('capture')!;
    if (state === 'migrating') this.#states.set('capture', { ...rest, state: laneStates[state].resume });
    // lanes know nothing of the new columns until they begin anew
    for (const part of parts) this.#attempts.get(part)?.asked.abort();
    this.#change();
  }

  /** Every lane has all that came before a change. False: one never will, as the spool has lost it. */
  async #drained(position: Position): Promise<boolean> {
    const { disk, live } = this.#world;
    for (;;) {
      const segments = spoolHeaders(disk.present());
      const [oldest, newest] = [segments[0], segments.at(-1)];
      const behind = [...neededFences(this.#world).map(([, fence]) => fence), live.told].filter((fence) => fence === undefined || fence < position);
      if (behind.length === 0) return true;
      if (behind.some((fence) => fence !== undefined && !(oldest && newest && oldest.from <= fence && newest.to >= position))) return false;
      await this.#sleep(200);
    }
  }

  #failed(part: Part, error: unknown): void {
    const failure = failureOf(error);
    if (!(failure instanceof ApplicationFailure) || !failure.nonRetryable) return;
    if (this.#resumed.delete(part)) return;
    const { state } = this.#states.get(part)!;
    const event = failure.type === configurationFailure ? 'refuse' : 'fail';
    this.#states.set(part, { state: laneStates[state][event], sentence: failure.message, cause: error });
    if (part === 'capture') this.#pipeline = pipelineStates[this.#pipeline].refuse;
  }

  /** Its heartbeats stop: after their timeout others take its steps. */
  #missed(worker: Worker): void {
    const own = [...this.#attempts].filter(([, attempt]) => attempt.worker === worker);
    this.#world.scheduler.timer(undefined, heartbeatTimeoutMs, () => {
      for (const [part, attempt] of own) if (this.#attempts.get(part) === attempt && worker.process.state !== 'running') attempt.finish();
      this.#change();
    });
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#world.scheduler.timer(undefined, ms, resolve);
    return promise;
  }
}

const heartbeatTimeoutMs = 700;
