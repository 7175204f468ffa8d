import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { inject } from 'vitest';
import { temporal } from '../../infra/embedded/temporal.ts';
import { portsFrom } from '../../infra/supervisor/ports.ts';
import { startOwn } from '../embedded/own-service.ts';

/** A Temporal of a test's own, which may be killed: what it had answered is in its file. */
export class OwnTemporal implements AsyncDisposable {
  readonly address: string;
  readonly #ports: ReturnType<typeof portsFrom>;
  readonly #dataDir: string;
  #process: ChildProcess | undefined;

  /** `portOffset`: from the ports of this test run. */
  static async start(portOffset: number): Promise<OwnTemporal> {
    const own = new OwnTemporal(await mkdtemp(join(tmpdir(), 'sluice-own-temporal-')), portOffset);
    await own.start();
    return own;
  }

  private constructor(dataDir: string, portOffset: number) {
    this.#dataDir = dataDir;
    this.#ports = portsFrom(inject('portBase') + portOffset);
    this.address = `127.0.0.1:${this.#ports.temporal}`;
  }

  async start(): Promise<void> {
    const place = { dataDir: this.#dataDir, ports: this.#ports, secrets: { postgresPassword: '', externalSecret: '' } };
    ({ child: this.#process } = await startOwn(temporal, place, this.address, ['--dynamic-config-value=frontend.WorkflowTimeSkippingEnabled=true']));
  }

  /** SIGKILL, and gone. */
  async kill(): Promise<void> {
    const ended = this.#process;
    if (ended === undefined || ended.exitCode !== null || ended.signalCode !== null) return;
    const exit = once(ended, 'exit');
    ended.kill('SIGKILL');
    await exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#dataDir, { recursive: true, force: true });
  }
}

/** Lets time pass, for one workflow of which nothing runs: its timers fire, and it counts from there on. Throws unless all of it has. */
export async function passTime({ workflowService, options: { namespace } }: Pick<Client, 'workflowService' | 'options'>, workflowId: string, ms: number): Promise<void> {
  const id = `${ms} ms`;
  const place = { namespace, workflowExecution: { workflowId } };
  const timeSkippingConfig = { enabled: true, fastForwardConfig: { id, duration: msToTs(ms) } };
  await workflowService.updateWorkflowExecutionOptions({ ...place, workflowExecutionOptions: { timeSkippingConfig }, updateMask: { paths: ['time_skipping_config'] } });
  const { fastForwardPollingResult, failedReason } = await workflowService.pollWorkflowExecutionTimeSkipping({ ...place, fastForwardId: id });
  if (!isCompleted(fastForwardPollingResult)) throw new Error(`the server did not let ${ms} ms pass for ${workflowId}: ${failedReason || fastForwardPollingResult}`);
}

/** Of temporal.api.enums.v1.FastForwardPollingResult. */
function isCompleted(result: number): boolean {
  return result === 2;
}
