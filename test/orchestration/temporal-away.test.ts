import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { Reachability } from '../../activities/reachability.ts';
import { Runtime } from '../../activities/runtime.ts';
import { runStep } from '../../activities/step.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { parseConfig } from '../../core/config.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage, waited } from './stage.ts';

/** A wire between the worker and Temporal that can be cut. */
class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut = false;

  static async to(address: string): Promise<Wire> {
    const [host, port] = address.split(':') as [string, string];
    const wire = new Wire(host, Number(port));
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  private constructor(host: string, port: number) {
    this.#server = createServer((near) => {
      if (this.#cut) return near.destroy();
      const far = connect(port, host);
      for (const [from, to] of [[near, far], [far, near]] as const) {
        this.#sockets.add(from);
        from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to);
      }
      return near;
    });
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  mend(): void {
    this.#cut = false;
  }

  [Symbol.dispose](): void {
    this.cut();
    this.#server.close();
  }
}

describe('E25: Temporal is away', () => {
  test('a step goes on past its time, and ends when Temporal is back', async () => {
    using wire = await Wire.to(services().temporalAddress);
    const { sourceUrl, stateUrl, redisUrl, clickhouseUrl, temporalAddress } = services();
    const config = parseConfig({ SLUICE_SOURCE_URL: sourceUrl, SLUICE_STATE_URL: stateUrl, SLUICE_REDIS_URL: redisUrl, SLUICE_CLICKHOUSE_URL: clickhouseUrl, TEMPORAL_ADDRESS: temporalAddress });
    const probe = () => new Promise<void>((resolve, reject) => connect(Number(wire.address.split(':')[1]), '127.0.0.1').on('data', () => {}).on('error', reject).on('close', () => reject(new Error('closed'))).on('connect', () => setTimeout(resolve, 100)));
    const runtime = new Runtime(config, {}, new Reachability(probe, 200));
    await using _ = { [Symbol.asyncDispose]: () => runtime.close() };
    await migrate(runtime.state);
    const { hash } = await runtime.definition('trending');

    const stage = new Stage();
    stage.stepMs = 2_000;
    const endedAt: number[] = [];
    stage.step = async (input, part) => {
      if (part !== 'enriched') return stage.plainStep(input, part);
      const result = await runStep(runtime, part, { ...input, pipeline: 'trending', definitionHash: hash }, async ({ signal }) => {
        await waited(60_000, signal);
        return 'asked';
      });
      endedAt.push(performance.now());
      return result;
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress, {}, wire.address);
    await pipeline.until(() => endedAt.length >= 1 && stage.running.has('enriched'));
    wire.cut();
    const before = endedAt.length;
    await waited(5_000, new AbortController().signal);
    expect(endedAt).toHaveLength(before);
    expect(stage.running.has('enriched')).toBe(true);
    wire.mend();
    await pipeline.until(() => endedAt.length > before + 1, 30_000);
  });
});
