import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { FrameReader, ReusedBufferSocket } from './frame-reader.ts';

test('frames come whole and in order, however the bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), async (bodies, cuts) => {
      const wire = Buffer.concat(bodies.map((body) => {
        const head = Buffer.from('d0000');
        head.writeInt32BE(body.length + 4, 1);
        return Buffer.concat([head, body]);
      }));
      const socket = new PassThrough();
      const frames: number[][] = [];
      const errors: unknown[] = [];
      const reader = new FrameReader(socket, (bytes, start, end) => frames.push([...bytes.subarray(start + 5, end)]), (error) => errors.push(error));
      for (let at = 0, cut = 0; at < wire.length; cut++) {
        const length = cuts[cut % cuts.length]!;
        socket.write(Buffer.from(wire.subarray(at, at + length)));
        at += length;
      }
      socket.end();
      await once(socket, 'end');
      reader.stop();
      expect(errors).toEqual([]);
      expect(frames).toEqual(bodies.map((body) => [...body]));
    }),
    { numRuns: 60 },
  );
});

test('while it is held nothing is read, not even once, and afterwards everything', async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.adopt(createServer().listen(0, '127.0.0.1'), (each) => void each.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection');
  const socket = stack.adopt(new ReusedBufferSocket(), (each) => void each.destroy());
  socket.connect(port, '127.0.0.1');
  const [sender] = (await accepted) as [Socket];
  let frames = 0;
  const reader = new FrameReader(socket, () => frames++, () => {});
  const frame = Buffer.from('d\0\0\0\x04');
  sender.write(frame);
  await vi.waitFor(() => expect(frames).toBe(1));
  // the pace waits between two reads; then the next one is armed
  await vi.waitFor(() => expect(Reflect.get(socket, '_handle')).toMatchObject({ reading: true }));

  reader.hold();
  await new Promise((sent) => sender.write(Buffer.concat([frame, frame, frame]), sent));
  // what was sent to this process before comes to it before this
  const [other] = await Promise.all([once(server, 'connection'), once(stack.adopt(connect(port, '127.0.0.1'), (each) => void each.destroy()), 'connect')]);
  stack.defer(() => void (other[0] as Socket).destroy());
  await new Promise((turn) => setImmediate(turn));
  expect(frames).toBe(1);

  reader.release();
  await vi.waitFor(() => expect(frames).toBe(4));
  reader.stop();
});
