import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';

/**
 * What becomes of the messages that are posted; whatever is only asked for passes. answer: not given on, and answered so.
 * lie: given on and taken, and answered with an error all the same. hang: never answered. late: given on at once, the
 * answer comes so much later. half: every second one is answered with 503. reset: every second connection breaks while
 * the message is read, every other one while the answer is.
 */
export type FrontMode =
  | { readonly tag: 'pass' }
  | { readonly tag: 'answer'; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  | { readonly tag: 'lie'; readonly status: number }
  | { readonly tag: 'hang' }
  | { readonly tag: 'late'; readonly ms: number }
  | { readonly tag: 'half' }
  | { readonly tag: 'reset' };

/** An HTTP server before the receiver, which can behave as badly as other people's. */
export class HttpFront {
  /** Messages that met the present mode, and of those the ones that the receiver took. */
  struck = 0;
  taken = 0;
  readonly #server: Server;
  readonly #agent = new Agent();
  readonly #receiver: { readonly host: string; readonly port: number };
  readonly #hanging = new Set<ServerResponse>();
  #mode: FrontMode = { tag: 'pass' };

  static async listen(port: number, receiver: { readonly host: string; readonly port: number }): Promise<HttpFront> {
    const front = new HttpFront(receiver);
    front.#server.listen(port, '127.0.0.1');
    await once(front.#server, 'listening');
    return front;
  }

  private constructor(receiver: { readonly host: string; readonly port: number }) {
    this.#receiver = receiver;
    this.#server = createServer((incoming, response) => void this.#answer(incoming, response).catch(() => response.destroy()));
  }

  set(mode: FrontMode): void {
    this.#mode = mode;
    this.struck = 0;
    this.taken = 0;
    for (const response of this.#hanging) response.destroy();
    this.#hanging.clear();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    if (this.#server.listening) await once(this.#server, 'close');
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const mode: FrontMode = incoming.method === 'POST' ? this.#mode : { tag: 'pass' };
    const number = mode.tag === 'pass' ? 0 : this.struck++;
    switch (mode.tag) {
      case 'pass':
        return this.#give(incoming, response);
      case 'answer':
        return refuse(incoming, response, mode.status, mode.headers);
      case 'lie':
        await this.#taken(incoming);
        response.writeHead(mode.status).end();
        return;
      case 'hang':
        this.#hanging.add(response);
        incoming.resume();
        return;
      case 'late': {
        const answer = await this.#taken(incoming);
        setTimeout(() => response.writeHead(answer.statusCode ?? 500).end(), mode.ms);
        return;
      }
      case 'half':
        return number % 2 === 0 ? refuse(incoming, response, 503) : this.#give(incoming, response);
      case 'reset':
        if (number % 2 === 0) {
          await once(incoming, 'data');
          incoming.socket.resetAndDestroy();
          return;
        }
        await this.#taken(incoming);
        response.writeHead(200, { 'content-length': '100' }).write('{"accepted":');
        setTimeout(() => incoming.socket.resetAndDestroy(), 20);
        return;
    }
  }

  async #give(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#ask(incoming);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
    answer.once('error', () => response.destroy());
  }

  async #taken(incoming: IncomingMessage): Promise<IncomingMessage> {
    const answer = await this.#ask(incoming);
    answer.resume();
    if (answer.statusCode === 200) this.taken++;
    return answer;
  }

  #ask(incoming: IncomingMessage): Promise<IncomingMessage> {
    const { method, url, headers } = incoming;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const onward = request({ ...this.#receiver, path: url, method, headers, agent: this.#agent });
    onward.once('error', reject).once('response', resolve);
    incoming.once('close', () => !incoming.complete && onward.destroy());
    incoming.pipe(onward);
    return promise;
  }
}

function refuse(incoming: IncomingMessage, response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  incoming.resume();
  incoming.once('end', () => response.writeHead(status, headers).end());
}
