import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Proxy } from './proxy.ts';
import { until } from './until.ts';

const { signal } = new AbortController();

/** Answers each byte with itself, and counts. */
describe('a proxy', () => {
  let server: Server;
  let arrived = 0;

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        arrived += bytes.length;
        socket.write(bytes);
      });
      socket.on('end', () => socket.end());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(() => {
    server.close();
  });

  async function open(): Promise<{ proxy: Proxy; client: Client; [Symbol.asyncDispose](): Promise<void> }> {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, 'close');
    const proxy = await Proxy.listen(port, { host: '127.0.0.1', port: (server.address() as AddressInfo).port });
    const client = await Client.open(port);
    await until('the proxy to know of it', () => proxy.connections === 1, { timeoutMs: 2_000, everyMs: 1, signal });
    return { proxy, client, [Symbol.asyncDispose]: () => proxy.close() };
  }

  test('passes bytes and ends', async () => {
    await using world = await open();
    await world.client.asks('hello');
    world.client.socket.end();
    await until('the end', () => world.client.ended, { timeoutMs: 2_000, everyMs: 5, signal });
    expect(world.client.failed).toBe(false);
  });

  test('delays both ways, in order', async () => {
    await using world = await open();
    world.proxy.set({ tag: 'delay', ms: 100 });
    const startedAt = performance.now();
    world.client.socket.write('a');
    await world.client.asks('b', 'ab');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(195);
    expect(world.proxy.counts.delayed).toBeGreaterThanOrEqual(4);
  });

  test('holds answers, while requests arrive; then all of it comes', async () => {
    await using world = await open();
    const before = arrived;
    world.proxy.set({ tag: 'hold', what: 'answers' });
    world.client.socket.write('xyz');
    await until('the request to arrive', () => arrived === before + 3, { timeoutMs: 2_000, everyMs: 5, signal });
    await until('the answer to be held', () => world.proxy.counts.held === 3, { timeoutMs: 2_000, everyMs: 5, signal });
    expect(world.client.received).toBe('');
    world.proxy.set({ tag: 'pass' });
    await until('the answer', () => world.client.received === 'xyz', { timeoutMs: 2_000, everyMs: 5, signal });
  });

  test('holds an answer where it comes to so many bytes, and lets the rest of it pass then', async () => {
    await using world = await open();
    world.proxy.set({ tag: 'hold', what: 'answers', afterBytes: 10 });
    await world.client.asks('12345');
    world.client.received = '';
    world.client.socket.write('67890');
    await until('the answer to be held', () => world.proxy.counts.held === 5, { timeoutMs: 2_000, everyMs: 5, signal });
    expect(world.client.received).toBe('');
    world.proxy.set({ tag: 'pass' });
    await until('the answer', () => world.client.received === '67890', { timeoutMs: 2_000, everyMs: 5, signal });
  });

  test('swallows for ever: what was open stays dead, what comes after lives', async () => {
    await using world = await open();
    const before = arrived;
    world.proxy.set({ tag: 'swallow' });
    world.client.socket.write('lost');
    await until('bytes to be swallowed', () => world.proxy.counts.swallowed === 4, { timeoutMs: 2_000, everyMs: 5, signal });
    world.proxy.set({ tag: 'pass' });
    world.client.socket.write('too');
    await until('more to be swallowed', () => world.proxy.counts.swallowed === 7, { timeoutMs: 2_000, everyMs: 5, signal });
    expect({ arrived, closed: world.client.ended || world.client.failed, connections: world.proxy.connections }).toEqual({ arrived: before, closed: false, connections: 0 });
    await (await Client.open(world.client.port)).asks('alive');
  });

  test('severs in the middle of a request', async () => {
    await using world = await open();
    const before = arrived;
    world.proxy.set({ tag: 'sever', afterBytes: 10 });
    await world.client.asks('12345');
    world.client.socket.write('67890 and more');
    await until('the connection to break', () => world.client.failed, { timeoutMs: 2_000, everyMs: 5, signal });
    expect({ arrived: arrived - before, severed: world.proxy.counts.severed }).toEqual({ arrived: 5, severed: 1 });
  });

  test('is down, and up again', async () => {
    await using world = await open();
    world.proxy.down();
    await until('the connection to break', () => world.client.failed, { timeoutMs: 2_000, everyMs: 5, signal });
    const refused = new Client(world.client.port);
    await until('a new one to be refused', () => refused.failed, { timeoutMs: 2_000, everyMs: 5, signal });
    world.proxy.set({ tag: 'pass' });
    await (await Client.open(world.client.port)).asks('back');
    expect(world.proxy.counts).toMatchObject({ refused: 1, cut: 1 });
  });
});

class Client {
  received = '';
  ended = false;
  failed = false;
  readonly socket: Socket;
  readonly port: number;

  static async open(port: number): Promise<Client> {
    const client = new Client(port);
    await once(client.socket, 'connect');
    return client;
  }

  constructor(port: number) {
    this.port = port;
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (bytes: Buffer) => (this.received += bytes.toString()));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('error', () => (this.failed = true));
  }

  async asks(text: string, answer = text): Promise<void> {
    this.received = '';
    this.socket.write(text);
    await until(`the answer ${answer}`, () => this.received === answer, { timeoutMs: 3_000, everyMs: 5, signal });
  }
}
