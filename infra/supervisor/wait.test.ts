import { describe, expect, test } from 'vitest';
import { NotHealthy, waitUntil } from './wait.ts';

const signal = new AbortController().signal;
const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:7407'), { code: 'ECONNREFUSED' });

describe('waiting for a process that starts', () => {
  test('tells that it takes long as long as it does', async () => {
    const told: string[] = [];
    let asked = 0;
    const check = async () => {
      if (++asked < 5) throw refused;
    };
    await waitUntil(check, { what: 'worker', timeoutMs: 60_000, everyMs: 1, noticeMs: 0, signal, report: (line) => told.push(line) });
    expect(asked).toBe(5);
    expect(told).toHaveLength(4);
    expect(told[0]).toMatch(/^worker {7}is still starting after \d+ s \(connect ECONNREFUSED 127\.0\.0\.1:7407/);
  });

  test('one that ends again and again is given up at once, with the reason', async () => {
    let asked = 0;
    const check = async () => {
      asked++;
      throw refused;
    };
    await expect(waitUntil(check, { what: 'worker', timeoutMs: 60_000, everyMs: 1, signal, hopeless: () => asked === 3 })).rejects.toThrow(/worker did not become healthy: connect ECONNREFUSED/);
    expect(asked).toBe(3);
  });

  test('a busy machine is named when it is given up, with what to type', () => {
    expect(new NotHealthy({ what: 'worker' }, refused, "the machine's load is 17.2 on 2 processors", 180).message).toBe(
      "worker did not become healthy: connect ECONNREFUSED 127.0.0.1:7407\nIt was given 180 s, and the machine's load is 17.2 on 2 processors: once that is less busy, type the same command again.",
    );
    expect(new NotHealthy({ what: 'worker' }, refused, undefined, 180).message).not.toContain('load');
  });
});
