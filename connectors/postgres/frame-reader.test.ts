import { PassThrough } from 'node:stream';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader } from './frame-reader.ts';

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
