import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { TooLarge, withBody } from './body.ts';
import { isCompressed, isList } from './message.ts';
import { SignatureCheck } from './signature.ts';
import type { ReceiverStore } from './store.ts';

/**
 * A sample external system: takes signed messages at POST /events, each once. GET / shows counts, /counts and /health
 * are for programs, and /folded lists the rows that the events add up to, a JSON object a line, by key:
 * `{"key":"42","position":"…","row":{…}}`; with `?since=<position>` only those above it.
 */
export function createReceiver(store: ReceiverStore, secret: string): Server {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return createServer((request, response) => {
    answer(store, key, request, response).catch((error: unknown) => {
      console.error(error);
      if (!response.headersSent) send(response, 500, { error: 'the message was not stored' });
      else response.destroy();
    });
  });
}

async function answer(store: ReceiverStore, key: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://receiver');
  switch (`${request.method} ${pathname}`) {
    case 'POST /events':
      return accept(store, key, request, response);
    case 'GET /':
      return page(store, response);
    case 'GET /health':
      return send(response, 200, { healthy: true });
    case 'GET /counts':
      return send(response, 200, store.counts());
    case 'GET /folded':
      return folded(store, searchParams.get('since') ?? '', response);
    default:
      return send(response, 404, { error: `nothing at ${request.method} ${pathname}` });
  }
}

async function accept(store: ReceiverStore, key: Buffer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const signature = new SignatureCheck(request.headers, key, Date.now());
  try {
    await withBody(request, (chunk) => signature.update(chunk), (body) => {
      const id = signature.verifiedId();
      if (id === undefined) return send(response, 401, { error: 'the signature does not fit' });
      // what is in a compressed one is seen when somebody asks: its sender is known by the signature
      if (!isCompressed(body) && !isList(body)) return send(response, 400, { error: 'the body is not a list' });
      return send(response, 200, { accepted: store.accept(id, body) });
    });
  } catch (error) {
    if (!(error instanceof TooLarge)) throw error;
    send(response, 413, { error: error.message });
  }
}

function page(store: ReceiverStore, response: ServerResponse): void {
  const { messages, events, duplicates } = store.counts();
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  response.end(`<!doctype html><meta http-equiv="refresh" content="2"><title>Receiver</title>
<body style="font: 16px system-ui; margin: 3rem"><h1>An external system</h1>
<p>${events} events in ${messages} messages, ${duplicates} of them sent again and taken once.</p>`);
}

async function folded(store: ReceiverStore, since: string, response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  let lines = '';
  for (const { key, position, row } of store.folded(since)) {
    lines += `{"key":${JSON.stringify(key)},"position":"${position}","row":${row}}\n`;
    if (lines.length < 65_536) continue;
    if (!response.write(lines)) await once(response, 'drain');
    lines = '';
  }
  response.end(lines);
}

function send(response: ServerResponse, status: number, body: object): void {
  // bodies may come compressed so (RFC 9110, 12.5.3)
  response.writeHead(status, { 'content-type': 'application/json', 'accept-encoding': 'zstd' });
  response.end(JSON.stringify(body));
}
