import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { HttpPoster } from './post.ts';

/** More than the sockets on the way take in. */
const size = 32 << 20;

test('a body may be written over when it was posted, also where the other side has said yes before it has all of it', async () => {
  const answered = Promise.withResolvers<Socket>();
  let received = Buffer.alloc(0);
  const server = createServer((socket) => {
    socket.once('data', (first) => {
      socket.pause();
      received = first;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', () => answered.resolve(socket));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const poster = new HttpPoster({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, secret: 'whsec_AAAA', allowPrivate: true, timeoutMs: 20_000 });
  const body = Buffer.alloc(size, 'x');
  const posted = poster.post('m', { parts: [body] }).then(() => void body.fill('-'));

  const socket = await answered.promise;
  // it has seen the answer by then
  for (let turn = 0; turn < 100; turn++) await setImmediate();
  const head = received.indexOf('\r\n\r\n') + 4;
  let [arrived, strange] = [received.length - head, received.subarray(head).filter((byte) => byte !== 0x78).length];
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    arrived += chunk.length;
    strange += chunk.filter((byte) => byte !== 0x78).length;
    if (arrived === size) break;
  }
  await posted;
  expect([arrived, strange]).toEqual([size, 0]);
  poster.close();
  server.close();
});
