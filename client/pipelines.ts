import { Client, QueryRejectedError, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/client';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { destroyWorkflowId } from '../core/destroy.ts';
import { rotateAtEvents } from '../core/rotate-at-events.ts';
import { pipelineWorkflowId, taskQueue } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import type { WorkflowStatus } from '../workflows/messages.ts';
import type { PipelineInput } from '../workflows/pipeline.ts';
import { isRunning } from './is-running.ts';
import { pipelineStatus, type PipelineStatus } from './pipeline-status.ts';
import { readFilling, readProgress, type ProgressByPart } from './progress.ts';
import { ensureSchedule } from './reconciliations.ts';
import { registerSearchAttributes, startAttributes } from './search-attributes.ts';
import { stuckTask } from './stuck-task.ts';
import { withTemporal } from './temporal-connection.ts';
import { toldWhatWaits } from './waiting-migration.ts';

/** Every pipeline's definition, by name. */
export { pipelines };
export type { PipelineStatus } from './pipeline-status.ts';

/** How long a worker may take to answer a query. */
const queryMs = 3_000;

export class UnknownName extends BadInput {
  override readonly name = 'UnknownName';
}

/** Starts the workflows of these pipelines (all by default) that do not run, with `input`; the others take over changed settings. */
export async function ensurePipelines(config: Config, names: readonly string[] = Object.keys(pipelines), input: Omit<PipelineInput, 'name'> = {}): Promise<void> {
  for (const name of names) assertPipeline(name);
  await withTemporal(config, async (client, connection) => {
    await registerSearchAttributes(connection, config.temporalNamespace);
    for (const name of names) {
      await ensure(client, { ...input, name });
      await ensureSchedule(client, name);
    }
  });
}

/** Of all pipelines by default. */
export function pipelineStatuses(config: Config, names: readonly string[] = Object.keys(pipelines)): Promise<PipelineStatus[]> {
  return statusesOf(config, names);
}

/** Resolves when it is paused: every step has ended. Returns how long that took in milliseconds. */
export function pausePipeline(config: Config, name: string, lane?: string): Promise<number> {
  return signalled(config, name, lane, { signal: lane === undefined ? 'pause' : 'pauseLane', reached: (state) => !['running', 'draining', 'loading', 'migrating'].includes(state) });
}

/** Resolves when it runs again, or waits for a migration as before. Throws with the sentence if it is parked at once. */
export function resumePipeline(config: Config, name: string, lane?: string): Promise<number> {
  return signalled(config, name, lane, { signal: lane === undefined ? 'resume' : 'resumeLane', reached: (state) => state === 'running' || state === 'loading' || state === 'held' || state === 'migrating' });
}

async function ensure(client: Client, input: PipelineInput): Promise<void> {
  const { name } = input;
  const workflowId = pipelineWorkflowId(name);
  try {
    await client.workflow.start('pipeline', {
      workflowId,
      taskQueue,
      args: [{ rotateAtEvents, ...input }],
      typedSearchAttributes: startAttributes(name, 'pipeline', 'loading'),
      staticSummary: `pipeline ${name}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    // a definition that is refused here is refused by its steps too, and status shows their sentence
    const reload = () => client.workflow.getHandle(workflowId).executeUpdate('reload');
    await client.withDeadline(Date.now() + reloadMs, () => retryingRotation(reload)).catch(() => {});
    await retryParked(client, name).catch(() => {});
  }
}

/** Whoever starts an instance again may have mended what parked it. What was paused on purpose stays so. */
async function retryParked(client: Client, name: string): Promise<void> {
  const { state, capture, lanes } = await queryStatus(client, name);
  const handle = client.workflow.getHandle(pipelineWorkflowId(name));
  for (const lane of [capture, ...lanes]) {
    if (lane.state === 'parked' || lane.state === 'broken') await handle.signal('resumeLane', lane.name);
  }
  if (state === 'parked') await handle.signal('resume');
}

const reloadMs = 10_000;

async function statusesOf(config: Config, names: readonly string[]): Promise<PipelineStatus[]> {
  const progress = await readProgress(config).catch((): ProgressByPart => new Map());
  const filling = await readFilling(config).catch(() => new Map<string, readonly string[]>());
  return withTemporal(config, (client) =>
    Promise.all(
      names.map(async (name) => {
        const answer = await queryStatus(client, name).then((found) => client.withDeadline(Date.now() + queryMs, () => toldWhatWaits(client, found))).catch((error: unknown) => unreachableReason(client, error, name));
        const status = pipelineStatus(config, name, answer, progress, Date.now());
        return { ...status, notes: [...status.notes, ...(filling.get(name) ?? [])] };
      }),
    ),
  );
}

/** One that has ended would answer with what it was. */
export function queryStatus(client: Client, name: string): Promise<WorkflowStatus> {
  const open = new Client({ connection: client.connection, namespace: client.options.namespace, workflow: { queryRejectCondition: 'NOT_OPEN' } });
  const handle = open.workflow.getHandle(pipelineWorkflowId(name));
  return client.withDeadline(Date.now() + queryMs, () => handle.query<WorkflowStatus>('status'));
}

type Wanted = { readonly signal: string; readonly reached: (state: string) => boolean };

async function signalled(config: Config, name: string, lane: string | undefined, { signal, reached }: Wanted): Promise<number> {
  assertPipeline(name);
  return withTemporal(config, async (client) => {
    const startedAt = performance.now();
    const status = (sent: string) =>
      queryStatus(client, name).catch(async (error: unknown) => {
        throw new Error(`Pipeline ${name}: ${await unreachableReason(client, error, name)}. ${sent}`, { cause: error });
      });
    const present = await status(`The signal ${signal} was not sent.`);
    assertLane(name, lane, present);
    if (signal === 'resumeLane' && present.state === 'paused') throw new Error(`Pipeline ${name} is paused as a whole, so its lane ${lane} cannot go on by itself. Type: ./sluice resume ${name}`);
    await client.workflow.getHandle(pipelineWorkflowId(name)).signal(signal, ...(lane === undefined ? [] : [lane]));
    for (;;) {
      const now = await status(`The signal ${signal} was sent, and takes effect once a worker has handled it.`);
      const part = lane === undefined ? now : partOf(now, lane)!;
      if (reached(part.state)) return performance.now() - startedAt;
      if (performance.now() - startedAt > confirmMs) throw new Error(`Pipeline ${name}${lane === undefined ? '' : `, lane ${lane},`} is still ${part.state} ${confirmMs / 1000} s after ${signal}${part.error === null ? '' : `: ${part.error}`}. See ./sluice status.`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });
}

const confirmMs = 15_000;

function partOf(status: WorkflowStatus, part: string) {
  return [status.capture, ...status.lanes].find(({ name }) => name === part);
}

/** Throws UnknownName. */
export function assertPipeline(name: string): void {
  if (Object.hasOwn(pipelines, name)) return;
  throw new UnknownName(`There is no pipeline ${name}. The pipelines are ${Object.keys(pipelines).join(', ') || 'none (see pipelines/index.ts)'}.`);
}

function assertLane(name: string, lane: string | undefined, status: WorkflowStatus): void {
  if (lane === undefined || partOf(status, lane)) return;
  throw new UnknownName(`Pipeline ${name} has no lane ${lane}. Its lanes are ${status.lanes.map((each) => each.name).join(', ')}, and capture can be given too.`);
}

/** A fresh run takes over within a second or two, and answers then. */
async function retryingRotation<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      const cause = (error as { cause?: { type?: string } }).cause;
      if (cause?.type !== 'Rotating' || tries === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function unreachableReason(client: Client, error: unknown, name: string): Promise<string> {
  const workflowId = pipelineWorkflowId(name);
  if (error instanceof WorkflowNotFoundError || error instanceof QueryRejectedError) {
    if (await isRunning(client, destroyWorkflowId({ pipeline: name })).catch(() => false)) return `it is being destroyed, by the workflow ${destroyWorkflowId({ pipeline: name })}`;
    return `it does not run: its workflow ${workflowId} ${error instanceof QueryRejectedError ? 'has ended' : 'was never started'}; ./sluice apply ${name} starts it`;
  }
  const stuck = await client.withDeadline(Date.now() + queryMs, () => stuckTask(client, workflowId, Date.now())).catch(() => undefined);
  return stuck ?? queryFailure(error);
}

function queryFailure(error: unknown): string {
  const { code, details } = ((error as Error).cause ?? {}) as { code?: unknown; details?: string };
  if (code === deadlineExceeded) return `no worker answered within ${queryMs / 1000} s; see ./sluice logs worker`;
  return `its workflow could not be asked (${details ?? (error instanceof Error ? error.message : String(error))}); see ./sluice logs worker`;
}

/** grpc.status.DEADLINE_EXCEEDED */
const deadlineExceeded = 4;
