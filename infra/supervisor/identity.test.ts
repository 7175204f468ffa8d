import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Identity, identify, isAlive, stopProcess } from './identity.ts';
import { readInstance, stopLeftovers, writeInstance } from './instance.ts';
import { AlreadyRunning, lockDataDir } from './lock.ts';

let dataDir: string;
beforeEach(() => (dataDir = mkdtempSync(join(tmpdir(), 'sluice-'))));
afterEach(() => rmSync(dataDir, { recursive: true }));

describe('a process', () => {
  test('is recognized, until it is gone', async () => {
    const child = await sleeper();
    expect(isAlive(child)).toBe(true);
    expect(isAlive({ ...child, started: 'earlier' })).toBe(false);
    await stopProcess(child, [{ signal: 'SIGTERM', waitMs: 2_000 }]);
    expect(isAlive(child)).toBe(false);
  });

  test('that ignores what it is asked is killed', async () => {
    const child = await sleeper(`process.on('SIGTERM', () => {});`);
    await stopProcess(child, [{ signal: 'SIGTERM', waitMs: 100 }]);
    expect(isAlive(child)).toBe(false);
  });
});

describe('the lock of a data directory', () => {
  test('has one holder, and is free again after the release', () => {
    const release = lockDataDir(dataDir);
    expect(() => lockDataDir(dataDir)).toThrow(AlreadyRunning);
    expect(() => lockDataDir(dataDir)).toThrow(/sluice down/);
    release();
    lockDataDir(dataDir)();
  });

  test.each([
    ['of a process that is gone', JSON.stringify({ pid: process.pid, started: 'another boot' })],
    ['that is empty', ''],
  ])('%s is taken over', (_, content) => {
    writeFileSync(join(dataDir, 'supervisor.lock'), content);
    lockDataDir(dataDir)();
  });
});

test('leftovers are stopped, other processes of the same pid are not', async () => {
  const [left, other] = [await sleeper(), await sleeper()];
  const stop = [{ signal: 'SIGTERM' as const, waitMs: 2_000 }];
  const processes = [
    { name: 'left', ...left, stop },
    { name: 'other', ...other, started: 'earlier', stop },
  ];
  const supervisor = { pid: process.pid, started: 'earlier' };
  writeInstance(dataDir, { supervisor, ready: true, portBase: 7400, own: [], environment: {}, processes });
  expect(await stopLeftovers(dataDir)).toEqual(['left']);
  expect([isAlive(left), isAlive(other)]).toEqual([false, true]);
  expect(readInstance(dataDir)).toBeUndefined();
  await stopProcess(other, []);
});

/** A process that has said it is there, so that it has its signal handlers. */
async function sleeper(first = ''): Promise<Identity> {
  const child = spawn(process.execPath, ['-e', `${first} setInterval(() => {}, 1000); console.log()`]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return identify(child.pid!)!;
}
