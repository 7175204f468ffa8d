import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { systemFiles } from './files.ts';

const directory = await mkdtemp(join(tmpdir(), 'sluice-files-'));
const probe = await open(directory, 'r');
const handles = Object.getPrototypeOf(probe) as FileHandle;
await probe.close();

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true, force: true });
});

test('E4: what was written is on disk before anybody hears of it, and so are names once their directory was synced', async () => {
  await systemFiles.makeDirectory(directory);
  const done: string[] = [];
  for (const call of ['datasync', 'sync'] as const) {
    const real = handles[call];
    vi.spyOn(handles, call).mockImplementation(async function (this: FileHandle) {
      await real.call(this);
      done.push(call);
    });
  }
  await systemFiles.write(join(directory, 'a'), new Uint8Array([1, 2, 3]));
  expect(done.splice(0)).toEqual(['datasync']);
  expect(await systemFiles.link(join(directory, 'a'), join(directory, 'b'))).toBe('linked');
  await systemFiles.syncDirectory(directory);
  expect(done).toEqual(['sync']);
});
