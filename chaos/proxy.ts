import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * pass: as if it were not there. delay: every piece is `ms` late. hold: nothing arrives until the mode changes, then all
 * of it does (a partition that heals); `answers` holds only what the service says, and of that less than `afterBytes`
 * arrive on each connection. swallow: what is sent is gone, and so are the connections of that time, though nobody tells
 * their ends. sever: after so many bytes towards the service a connection is reset. refuse: no new connections.
 */
export type ProxyMode =
  | { readonly tag: 'pass' }
  | { readonly tag: 'delay'; readonly ms: number }
  | { readonly tag: 'hold'; readonly what: 'all' | 'answers'; readonly afterBytes?: number }
  | { readonly tag: 'swallow' }
  | { readonly tag: 'sever'; readonly afterBytes: number }
  | { readonly tag: 'refuse' };

/** What has come of the modes, so that a fault can show that it struck. */
export type ProxyCounts = { delayed: number; held: number; swallowed: number; severed: number; refused: number; cut: number };

const pass: ProxyMode = { tag: 'pass' };
/** Above it the sender is not read any more. */
const mostQueuedBytes = 4 << 20;

/** A TCP proxy before one service, on loopback. */
export class Proxy {
  readonly counts: ProxyCounts = { delayed: 0, held: 0, swallowed: 0, severed: 0, refused: 0, cut: 0 };
  readonly #server: Server;
  readonly #wires = new Set<Wire>();
  #mode: ProxyMode = pass;

  static async listen(port: number, target: { readonly host: string; readonly port: number }): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(port, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer({ allowHalfOpen: true }, (near) => {
      if (this.#mode.tag === 'refuse') {
        this.counts.refused++;
        near.resetAndDestroy();
        return;
      }
      const far = connect({ ...target, allowHalfOpen: true });
      const wire = new Wire(near, far, this.counts);
      this.#wires.add(wire);
      wire.set(this.#mode);
      near.once('close', () => this.#wires.delete(wire));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** But for those that are dead. */
  get connections(): number {
    return [...this.#wires].filter(({ isDead }) => !isDead).length;
  }

  set(mode: ProxyMode): void {
    this.#mode = mode;
    for (const wire of this.#wires) wire.set(mode);
  }

  /** Both ends of every connection are reset at once. Returns how many there were. */
  cut(): number {
    const wires = [...this.#wires];
    for (const wire of wires) wire.reset();
    this.counts.cut += wires.length;
    return wires.length;
  }

  /** As if the service were not there, until `set`. */
  down(): void {
    this.set({ tag: 'refuse' });
    this.cut();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.cut();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}

/** One connection through the proxy. */
class Wire {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #there: Lane;
  readonly #back: Lane;
  readonly #counts: ProxyCounts;
  #mode: ProxyMode = pass;
  /** Its way has swallowed: nothing will ever pass again. */
  isDead = false;
  #leftBytes = 0;

  constructor(near: Socket, far: Socket, counts: ProxyCounts) {
    this.#near = near;
    this.#far = far;
    this.#counts = counts;
    this.#there = new Lane(near, far, (bytes) => this.#admit(bytes, false));
    this.#back = new Lane(far, near, (bytes) => this.#admit(bytes, true));
  }

  set(mode: ProxyMode): void {
    this.#mode = mode;
    if (mode.tag === 'sever' || mode.tag === 'hold') this.#leftBytes = mode.afterBytes ?? 0;
    if (mode.tag === 'swallow') this.isDead = true;
    const holds = (answers: boolean) => mode.tag === 'hold' && (answers ? this.#leftBytes <= 0 : mode.what === 'all');
    this.#there.hold(holds(false));
    this.#back.hold(holds(true));
  }

  reset(): void {
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
  }

  /** How late these bytes may pass, in milliseconds; undefined: never. */
  #admit(bytes: number, answers: boolean): number | undefined {
    const mode = this.#mode;
    if (this.isDead) {
      this.#counts.swallowed += bytes;
      return undefined;
    }
    if (mode.tag === 'hold' && answers && this.#leftBytes > 0) {
      this.#leftBytes -= bytes;
      if (this.#leftBytes <= 0) this.#back.hold(true);
    }
    if (mode.tag === 'hold' && (answers ? this.#leftBytes <= 0 : mode.what === 'all')) this.#counts.held += bytes;
    if (mode.tag === 'sever' && !answers) {
      this.#leftBytes -= bytes;
      if (this.#leftBytes <= 0) {
        this.#counts.severed++;
        this.reset();
        return undefined;
      }
    }
    if (mode.tag !== 'delay') return 0;
    this.#counts.delayed += bytes;
    return mode.ms;
  }
}

type Piece = { readonly bytes: Buffer | undefined; readonly atMs: number };

/** One direction of a connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  #queue: Piece[] = [];
  #queuedBytes = 0;
  #held = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, admit: (bytes: number) => number | undefined) {
    this.#from = from;
    this.#to = to;
    from.on('data', (bytes: Buffer) => this.#push(bytes, admit(bytes.length)));
    from.on('end', () => this.#push(undefined, admit(0)));
    from.on('error', () => {}); // 'close' follows
    // an end that was swallowed is not told, a reset is
    from.on('close', (hadError) => hadError && to.destroy());
    to.on('drain', () => this.#pump());
  }

  hold(held: boolean): void {
    this.#held = held;
    this.#pump();
  }

  #push(bytes: Buffer | undefined, lateMs: number | undefined): void {
    if (lateMs === undefined) return;
    this.#queue.push({ bytes, atMs: performance.now() + lateMs });
    this.#queuedBytes += bytes?.length ?? 0;
    if (this.#queuedBytes > mostQueuedBytes) this.#from.pause();
    this.#pump();
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (this.#queue.length > 0 && !this.#held && !this.#to.writableNeedDrain) {
      const { bytes, atMs } = this.#queue[0]!;
      const lateMs = atMs - performance.now();
      if (lateMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), lateMs);
        return;
      }
      this.#queue.shift();
      this.#queuedBytes -= bytes?.length ?? 0;
      if (bytes === undefined) this.#to.end();
      else this.#to.write(bytes);
    }
    if (this.#queuedBytes <= mostQueuedBytes && this.#from.isPaused()) this.#from.resume();
  }
}
