import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { CancelledFailure } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { parseConfig, toEnvironment } from '../core/config.ts';
import { inActivity } from '../test/orchestration/in-activity.ts';
import { createActivities } from './index.ts';
import { Reachability } from './reachability.ts';
import { Runtime } from './runtime.ts';

/** Those that their workflows give no `heartbeatTimeout`: what they take is known beforehand. */
const withoutBeats = ['describe', 'slotLag', 'forgetLoad', 'stopSteps', 'staleWindows', 'planRecovery', 'beginAnew', 'compareDefinition', 'examine', 'reload', 'planDestroy', 'beginDestroy', 'finishDestroy', 'beginRedefinition', 'readPlan', 'prepareRedefinition', 'tellRedefinition'];

const asked = { pipeline: 'trending', fromMs: 0, toMs: 60_000, views: ['trending'], sinks: [], chunkRows: 10, rowsPerSecond: null };
/** What any of them is asked. */
const input = {
  ...asked,
  request: asked,
  report: asked,
  number: 1,
  lane: 'aggregate',
  what: 'become',
  decision: 'approve',
  told: { state: 'waiting' },
  repairs: { say: [], live: [] },
  differing: [],
  view: 'trending',
  atMs: 0,
  above: 1,
  epoch: 1,
  ifLacking: true,
  place: { kind: 'results', table: 'results.any' },
  paneTables: [],
  spared: [],
  patienceMs: 60_000,
  reachMs: 60_000,
  longestMs: 60_000,
  durationMs: 60_000,
  heartbeatMs: 100,
};

/** Takes every connection, and answers nothing. */
async function silentService(): Promise<{ readonly address: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, [Symbol.asyncDispose]: close };
}

test('E23: whoever is given up when it is silent beats from its beginning, whatever it waits for', async () => {
  await using stack = new AsyncDisposableStack();
  // gone before whoever waits for it is to end
  await using service = await silentService();
  const { address } = service;
  const environment = toEnvironment({ sourceUrl: `postgres://a@${address}/a`, stateUrl: `postgres://a@${address}/b`, redisUrl: `redis://${address}`, clickhouseUrl: `http://${address}`, temporalAddress: address });
  const runtime = stack.adopt(new Runtime(parseConfig(environment), environment, new Reachability(async () => {})), (each) => each.close());
  // it is not closed: what asks it once more on its own would crash
  const client = new Client({ connection: Connection.lazy({ address }) });
  const end = stack.adopt(new AbortController(), (each) => each.abort(new CancelledFailure('the test is over')));
  const activities = Object.entries(createActivities(runtime)) as [string, (asked: object) => Promise<unknown>][];
  const tooLong = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('it was silent, and given up')), 5_000).unref());
  tooLong.catch(() => {});
  const silent = await Promise.all(
    activities.flatMap(([name, activity]) => {
      if (withoutBeats.includes(name)) return [];
      const beaten = Promise.withResolvers<void>();
      const ended = inActivity(() => activity(input), { signal: end.signal, client, heartbeat: beaten.resolve });
      return [Promise.race([beaten.promise, ended, tooLong]).then(() => [], (error: unknown) => [`${name}: ${String(error)}`])];
    }),
  );
  expect(silent.flat()).toEqual([]);
});
