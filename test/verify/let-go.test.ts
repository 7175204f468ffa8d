import { Context } from '@temporalio/activity';
import { Client as TemporalClient, Connection, defaultGrpcRetryOptions, makeGrpcRetryInterceptor, type WorkflowHandle } from '@temporalio/client';
import { Client as PostgresClient } from 'pg';
import { expect, test } from 'vitest';
import { verify } from '../../activities/verify.ts';
import { Proxy } from '../../chaos/proxy.ts';
import { until } from '../../chaos/until.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState } from '../../connectors/postgres/state/state.ts';
import { parseConfig } from '../../core/config.ts';
import { resolve } from '../../core/define/resolve.ts';
import engagement from '../../pipelines/engagement.ts';
import { services, throwAwayDatabase } from '../embedded/services.ts';
import { at, RunningPipeline, Stage } from '../orchestration/stage.ts';

const soonMs = 20_000;
const soon = { timeoutMs: soonMs, everyMs: 20, signal: new AbortController().signal };

/** A pipeline, and the real comparison of it, which reaches Temporal by a way of its own and stops where it has stopped the capture. */
async function open() {
  const stack = new AsyncDisposableStack();
  const { url } = stack.use(await throwAwayDatabase());
  const state = stack.adopt(openState(url), (pool) => pool.end());
  await migrate(state);
  const gate = stack.adopt(new PostgresClient({ connectionString: url }), (client) => client.end());
  await gate.connect();
  const [host, port] = services().temporalAddress.split(':') as [string, string];
  const way = stack.adopt(await Proxy.listen(0, { host, port: Number(port) }), (proxy) => proxy.close());
  // as ever, but not for a minute
  const interceptors = [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: 3 }))];
  const connection = stack.adopt(await Connection.connect({ address: `127.0.0.1:${way.port}`, interceptors }), (each) => each.close());
  const environment = { SLUICE_SOURCE_URL: url, SLUICE_STATE_URL: url, SLUICE_REDIS_URL: services().redisUrl, SLUICE_CLICKHOUSE_URL: services().clickhouseUrl, TEMPORAL_ADDRESS: services().temporalAddress, SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_x' };
  const stage = new Stage();
  const runtime = { config: parseConfig(environment), definition: async () => ({ pipeline: { ...resolve(engagement, environment), name: stage.name }, hash: '', shape: { number: 0, columns: {} } }) };
  const failures: Error[] = [];
  const before = { first: async () => {} };
  let whenFailed = async () => {};
  stage.beside = {
    verify: async (input) => {
      if (Context.current().info.attempt === 1) await before.first();
      return verify(runtime, input, new TemporalClient({ connection })).catch(async (error: Error) => {
        failures.push(error);
        await whenFailed();
        throw error;
      });
    },
  };
  const running = stack.use(await RunningPipeline.start(stage, services().temporalAddress));
  await running.until(({ state: now }) => now === 'running' && stage.running.size === 4, soonMs);
  const back = async () => {
    way.set({ tag: 'pass' });
    await until('Temporal to answer', async () => Boolean(await connection.workflowService.getSystemInfo({})), soon);
  };
  const begin = () => running.client.workflow.start('verify', { workflowId: `verify/${stage.name}`, taskQueue: stage.taskQueue, args: [{ name: stage.name }] });
  const failureOf = (handle: WorkflowHandle) => handle.result().then(() => undefined, (error: Error) => error.cause as Error);
  return {
    running,
    failures,
    /** The first attempt is of another release, and its worker is killed when it has done this. */
    async compareAfter(first: () => Promise<void>) {
      before.first = async () => {
        await first();
        throw new Error('its worker was killed');
      };
      return failureOf(await begin());
    },
    /** The way to Temporal breaks when the capture is stopped; `mended`: as soon as the attempt has failed. */
    async compare(mended: boolean) {
      whenFailed = mended ? back : async () => {};
      await gate.query('begin; lock table sluice.shard in access exclusive mode');
      const handle = await begin();
      await running.until(({ capture }) => capture.state === 'held' && !stage.running.has('capture'), soonMs);
      await until('the comparison to wait for the gate', async () => (await state.query('select from pg_locks where not granted')).rowCount === 1, soon);
      way.down();
      await gate.query('commit');
      return failureOf(handle);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test('a comparison that cannot tell the pipeline to go on is tried again, and tells it first', async () => {
  await using place = await open();
  const failure = await place.compare(true);
  expect(failure?.message).toMatch(/was never loaded/);
  expect(place.failures[0]?.message).toMatch(/could not be told to go on: it does so by itself within 30 minutes, or at once if you type .\/sluice resume test_\S+$/);
  expect(place.failures).toHaveLength(2);
  await place.running.until(({ capture }) => capture.state === 'running', soonMs);
});

test('if no attempt can, the workflow itself does', async () => {
  await using place = await open();
  const failure = await place.compare(false);
  expect(failure?.message).toMatch(/could not be told to go on/);
  expect(place.failures).toHaveLength(3);
  await place.running.until(({ capture }) => capture.state === 'running', soonMs);
});

test('what an attempt of release 0.1.0 paused or held goes on with the next one', async () => {
  await using place = await open();
  const { handle } = place.running;
  const failure = await place.compareAfter(async () => {
    Context.current().heartbeat({ phase: 'holding every lane', state: { stopped: false, held: false } });
    await handle.signal('pauseLane', 'capture');
    await handle.executeUpdate('holdAt', { args: [{ position: at(100), timeoutMs: 600_000 }] });
  });
  expect(failure?.message).toMatch(/was never loaded/);
  await place.running.until(({ capture, lanes }) => [capture, ...lanes].every(({ state }) => state === 'running'), soonMs);
});
