import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Connection } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { ensurePipelines } from '../../client/pipelines.ts';
import { taskQueue } from '../../core/workflow-names.ts';
import type { Config } from '../../core/config.ts';
import { lanesOf } from '../../core/define/lanes.ts';
import { pipelines } from '../../pipelines/index.ts';
import { workerOptions } from '../../workers/worker-options.ts';
import { workflowBundle } from '../../workers/workflow-bundle.ts';
import { services } from '../embedded/services.ts';
import { Stage } from '../orchestration/stage.ts';

/** A Temporal namespace of one's own: the workflows bear the names of the real pipelines, and other tests run beside. */
export async function ownNamespace(): Promise<string> {
  const namespace = `test-${randomBytes(6).toString('hex')}`;
  const connection = await Connection.connect({ address: services().temporalAddress });
  try {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: { low: 86_400, high: 0, unsigned: false } as never },
    });
  } finally {
    await connection.close();
  }
  return namespace;
}

/**
 * The real workflows of both pipelines with a worker whose steps read and write nothing, until they are asked to end;
 * `beside`: what the workflows beside theirs run.
 */
export async function runPipelines(config: Config, beside: Stage['beside'] = {}): Promise<AsyncDisposable> {
  const connection = await NativeConnection.connect({ address: config.temporalAddress });
  const stage = new Stage();
  stage.beside = beside;
  const worker = await known(async () =>
    Worker.create({
      connection,
      namespace: config.temporalNamespace,
      taskQueue,
      workflowBundle: await workflowBundle(join(tmpdir(), 'sluice-test-workflows')),
      activities: {
        ...stage.activities,
        describe: async ({ pipeline }: { pipeline: string }) => ({
          lanes: lanesOf(pipelines[pipeline]!),
          definitionHash: 'test',
          stepMs: 10_000,
          heartbeatMs: 200,
          loaded: true,
        }),
      },
      ...workerOptions({ heartbeatMs: 200, mostParts: 20 }),
    }),
  );
  const ended = worker.run();
  await known(() => ensurePipelines(config));
  return {
    async [Symbol.asyncDispose]() {
      worker.shutdown();
      await ended;
      await connection.close();
    },
  };
}

/** A server needs a moment until it knows a new namespace, and more until all of it does. */
async function known<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (
        attempt === 50 ||
        !/namespace|search attribute/i.test(`${(error as Error).message} ${String((error as Error).cause)}`)
      )
        throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
