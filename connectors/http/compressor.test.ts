import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { zstdDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { TransientError } from '../transient-error.ts';
import { Compressor } from './compressor.ts';

/** As much as the library keeps until a frame ends. */
const body = randomBytes(100_000);

test('each body is a frame of its own', async () => {
  const compressor = new Compressor();
  const bodies = [body, randomBytes(3 << 20), Buffer.alloc(1 << 20), Buffer.from('x')];
  const frames = bodies.map((each) => compressor.alone(() => compressor.compress(each)));
  for (const [index, frame] of frames.entries()) expect(zstdDecompressSync(Buffer.concat(await frame)).equals(bodies[index]!)).toBe(true);
  compressor.close();
});

test('who waits for a body is told when it is closed, at whatever moment: a part of a frame is no body', async () => {
  const outcomes = new Set<string>();
  for (let turns = 0; !outcomes.has('whole'); turns += 1 + (turns >> 4)) {
    const compressor = new Compressor();
    const frame = compressor.compress(body).catch((error: unknown) => error as Error);
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    compressor.close();
    const found = await frame;
    if (found instanceof Error) expect(found).toBeInstanceOf(TransientError);
    else expect(zstdDecompressSync(Buffer.concat(found)).equals(body)).toBe(true);
    outcomes.add(found instanceof Error ? 'told' : 'whole');
    await expect(compressor.compress(body)).rejects.toThrow(TransientError);
  }
  expect(outcomes).toEqual(new Set(['told', 'whole']));
});
