import { describe, expect, test } from 'vitest';
import { overload } from './machine-load.ts';
import { BadAnswer, healthAfter, probe } from './probe.ts';

const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:7407'), { code: 'ECONNREFUSED' });
const timeout = new DOMException('The operation was aborted due to timeout', 'TimeoutError');

describe('what a failed check says', () => {
  test.each([
    ['a refusal', refused, 5, { tag: 'down', why: 'connect ECONNREFUSED 127.0.0.1:7407' }],
    ['a refusal that fetch keeps inside', new TypeError('fetch failed', { cause: new AggregateError([refused], 'both') }), 5, { tag: 'down', why: refused.message }],
    ['a refusal that was heard late', refused, 9_000, { tag: 'down', why: refused.message }],
    ['an answer that is bad', new BadAnswer('HTTP 500'), 3_500, { tag: 'down', why: 'HTTP 500' }],
    ['a database that says no', Object.assign(new Error('password authentication failed'), { code: '28P01' }), 4_000, { tag: 'down', why: 'password authentication failed' }],
    ['the clock of fetch', timeout, 3_001, { tag: 'slow', why: 'no answer within 3 s, asked twice' }],
    ['the clock of Redis', Object.assign(new Error('connect ETIMEDOUT'), { code: 'ETIMEDOUT' }), 3_001, { tag: 'slow', why: 'no answer within 3 s, asked twice' }],
    ['the clock of PostgreSQL', new Error('timeout expired'), 3_001, { tag: 'slow', why: 'no answer within 3 s, asked twice' }],
  ])('%s', (_, error, tookMs, health) => {
    expect(healthAfter(error, tookMs, undefined)).toEqual(health);
  });

  test('a busy machine is named as such', () => {
    expect(healthAfter(timeout, 3_001, overload(17.24, 2))).toMatchObject({ why: "no answer within 3 s, asked twice; the machine's load is 17.2 on 2 processors" });
    expect(overload(1.9, 2)).toBeUndefined();
  });
});

describe('a probe', () => {
  /** Each check takes 3.1 s of a clock that only it moves. */
  const times = (answers: readonly (Error | undefined)[]) => {
    let at = 0;
    let asked = 0;
    const check = async () => {
      at += 3_100;
      const error = answers[asked++];
      if (error) throw error;
    };
    return { run: () => probe(check, () => at), asked: () => asked };
  };

  test('asks once more when no answer came in time', async () => {
    const once = times([timeout, undefined]);
    expect(await once.run()).toEqual({ tag: 'healthy' });
    const never = times([timeout, timeout]);
    expect(await never.run()).toMatchObject({ tag: 'slow' });
    expect(never.asked()).toBe(2);
  });

  test('believes a refusal at once', async () => {
    const down = times([refused]);
    expect(await down.run()).toEqual({ tag: 'down', why: refused.message });
    expect(down.asked()).toBe(1);
  });
});
