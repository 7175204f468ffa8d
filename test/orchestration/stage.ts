import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { BackfillActivities } from '../../activities/backfill.ts';
import type { ExplainActivities } from '../../activities/explain.ts';
import type { ReconcileActivities } from '../../activities/reconcile.ts';
import type { BootstrapActivities } from '../../activities/bootstrap.ts';
import type { DestroyActivities } from '../../activities/destroy.ts';
import type { MigrationActivities } from '../../activities/migration.ts';
import type { RedefineActivities } from '../../activities/redefine.ts';
import type { RecoveryActivities } from '../../activities/recovery.ts';
import type { RepairActivities } from '../../activities/repair.ts';
import type { ReplayActivities } from '../../activities/replay.ts';
import type { Activities, CaptureStepInput, Description, LaneStepInput, LoadInput, SlotLag, StepInput, StepResult, TakeOverInput } from '../../activities/steps.ts';
import type { VerifyActivities } from '../../activities/verify.ts';
import type { Lane } from '../../core/define/lanes.ts';
import { isToldToStop } from '../../core/heartbeat.ts';
import { position, type Position } from '../../core/position.ts';
import { workerOptions } from '../../workers/worker-options.ts';
import { workflowBundle } from '../../workers/workflow-bundle.ts';
import type { PipelineInput } from '../../workflows/pipeline.ts';
import type { WorkflowStatus } from '../../workflows/messages.ts';

Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } } });

export const lanes: readonly Lane[] = [
  { name: 'aggregate', kind: 'aggregate', reads: 'segments' },
  { name: 'enriched', kind: 'clickhouse', reads: 'segments' },
  { name: 'board', kind: 'redis-results', reads: 'outbox' },
];

export const at = (lsn: number): Position => position(1, BigInt(lsn), 0);

/** Of the workflows beside the pipeline's. */
type Beside = ReplayActivities & VerifyActivities & BackfillActivities & RepairActivities & MigrationActivities & RecoveryActivities & BootstrapActivities & DestroyActivities & ReconcileActivities & ExplainActivities & RedefineActivities;

/** A step as the workflow sees it: it runs until its time is over or it is asked to end, and says where it is. */
export type Step = (input: StepInput & Partial<LaneStepInput & CaptureStepInput>, part: string) => Promise<StepResult>;

/** What the workflow runs in these tests instead of a stream: purpose-made activities behind the same names. */
export class Stage {
  readonly name = `test_${randomBytes(4).toString('hex')}`;
  readonly taskQueue = this.name;
  readonly began: { part: string; until: string | undefined }[] = [];
  /** Parts that have a step running now. */
  readonly running = new Set<string>();
  /** How far the fences are. */
  lsn = 100;
  slotLag: SlotLag = { bytes: 0, most: 1000 };
  /** How often the slot was looked at. */
  looks = 0;
  loads = 0;
  loaded = true;
  stepMs = 10_000;
  heartbeatMs = 200;
  definitionHash = 'first';
  repairAfterMs: number | undefined;
  step: Step = (input, part) => this.plainStep(input, part);
  load: (input: LoadInput) => Promise<void> = async () => {};
  /** How often the definition was asked for. */
  asked = 0;
  answered: () => Promise<void> = async () => {};
  stopSteps: Activities['stopSteps'] = async () => {};
  lanes: readonly Lane[] = lanes;
  takeOver: (input: TakeOverInput) => Promise<void> = async () => {};
  /** Of the workflows beside the pipeline's. */
  beside: Partial<Beside> = {};

  get activities(): Activities & Partial<Beside> {
    const lane = (input: LaneStepInput) => this.#step(input, input.lane);
    return {
      describe: async () => {
        this.asked++;
        await this.answered();
        return this.#description();
      },
      takeOver: async (input) => {
        await this.takeOver(input);
        return this.#description();
      },
      firstLoad: async (input) => {
        this.loads++;
        await this.load(input);
        return { position: at(this.lsn), rows: 3 };
      },
      capture: (input) => this.#step(input, 'capture'),
      slotLag: async () => {
        this.looks++;
        return this.slotLag;
      },
      // the next load finds it to be made
      forgetLoad: async () => void (this.loaded = false),
      stopSteps: (input) => this.stopSteps(input),
      aggregate: lane,
      clickhouse: lane,
      'redis-live': lane,
      http: lane,
      'postgres-results': lane,
      'redis-results': lane,
      ...this.beside,
    };
  }

  #description(): Description {
    return { lanes: this.lanes, definitionHash: this.definitionHash, stepMs: this.stepMs, heartbeatMs: this.heartbeatMs, ...(isToldToStop(this.heartbeatMs) ? { tellsSteps: true } : {}), loaded: this.loaded, ...(this.repairAfterMs === undefined ? {} : { repairAfterMs: this.repairAfterMs }) };
  }

  async #step(input: StepInput & Partial<LaneStepInput & CaptureStepInput>, part: string): Promise<StepResult> {
    this.began.push({ part, until: input.until });
    this.running.add(part);
    const beat = setInterval(() => Context.current().heartbeat(), input.heartbeatMs);
    try {
      return await this.step(input, part);
    } finally {
      clearInterval(beat);
      this.running.delete(part);
    }
  }

  async plainStep({ durationMs, until }: StepInput & Partial<LaneStepInput>, _part: string): Promise<StepResult> {
    const { cancellationSignal } = Context.current();
    const result = (ended: StepResult['ended'], fence: string = at(this.lsn)): StepResult => ({ ended, fence, segments: 1, events: 10 });
    if (until !== undefined) {
      while (!cancellationSignal.aborted && at(this.lsn) < until) await waited(20, cancellationSignal);
      if (!cancellationSignal.aborted) return at(this.lsn) === until ? result('held', until) : result('past');
    }
    await waited(durationMs, cancellationSignal);
    return result(cancellationSignal.aborted ? 'asked' : 'time');
  }
}

export function refused(sentence: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(sentence, 'ConfigurationError');
}

export async function waited(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  if (signal.aborted) resolve();
  await promise.finally(() => clearTimeout(timer));
}

/** A pipeline workflow on a real server, with its own worker and queue. */
export class RunningPipeline {
  readonly stage: Stage;
  readonly handle: WorkflowHandle;
  readonly client: Client;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #close: () => Promise<void>;

  constructor(stage: Stage, client: Client, handle: WorkflowHandle, worker: Worker, close: () => Promise<void>) {
    this.stage = stage;
    this.client = client;
    this.handle = handle;
    this.#worker = worker;
    this.#ended = worker.run();
    this.#close = close;
  }

  /** `workerAddress`: where the worker finds the server, if it goes there by another way. */
  static async start(stage: Stage, address: string, options: Partial<PipelineInput> = {}, workerAddress = address): Promise<RunningPipeline> {
    const connection = await Connection.connect({ address });
    const native = await NativeConnection.connect({ address: workerAddress });
    const worker = await workerOf(stage, native);
    const client = new Client({ connection });
    const input: PipelineInput = { name: stage.name, ...options };
    const handle = await client.workflow.start('pipeline', { workflowId: `pipeline/${stage.name}`, taskQueue: stage.taskQueue, args: [input] });
    return new RunningPipeline(stage, client, client.workflow.getHandle(handle.workflowId), worker, async () => {
      await connection.close();
      await native.close();
    });
  }

  /** Another one takes over, as when a worker is restarted. */
  async otherWorker(address: string): Promise<AsyncDisposable> {
    const native = await NativeConnection.connect({ address });
    const worker = await workerOf(this.stage, native);
    const ended = worker.run();
    this.#worker.shutdown();
    const close = async () => {
      worker.shutdown();
      await ended;
      await native.close();
    };
    return { [Symbol.asyncDispose]: close };
  }

  status(): Promise<WorkflowStatus> {
    return this.handle.query<WorkflowStatus>('status');
  }

  /** Waits until the status is so, and returns how long that took in milliseconds. */
  async until(wanted: (status: WorkflowStatus) => boolean, timeoutMs = 8_000): Promise<number> {
    const startedAt = performance.now();
    for (;;) {
      const status = await this.status();
      const ms = performance.now() - startedAt;
      if (wanted(status)) return ms;
      if (ms > timeoutMs) throw new Error(`not reached in ${timeoutMs} ms: ${JSON.stringify(status, undefined, 1)}`);
      await waited(20, new AbortController().signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.handle.terminate('the test is over').catch(() => {});
    if (this.#worker.getState() === 'RUNNING') this.#worker.shutdown();
    await this.#ended.catch(() => {});
    await this.#close();
  }
}

async function workerOf(stage: Stage, connection: NativeConnection): Promise<Worker> {
  const bundle = await workflowBundle(join(tmpdir(), 'sluice-test-workflows'));
  return Worker.create({ connection, workflowBundle: bundle, taskQueue: stage.taskQueue, activities: stage.activities, ...workerOptions({ heartbeatMs: 200, mostParts: lanes.length + 1 }) });
}

export const laneState = (status: WorkflowStatus, lane: string) => status.lanes.find(({ name }) => name === lane)?.state;
