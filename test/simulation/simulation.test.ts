import { availableParallelism } from 'node:os';
import { describe, expect, test } from 'vitest';
import { child } from './child.ts';

const schedules = 10_000;

/** `node test/simulation/main.ts SEED 1` repeats one of them; a failing one is shrunk and printed. */
describe('the simulation', { timeout: 600_000 }, () => {
  test(`I1-I7: ${schedules} schedules end in what a plain fold of the stream comes to, or park rightly`, async () => {
    const jobs = Math.max(1, Math.min(8, availableParallelism()));
    const each = Math.ceil(schedules / jobs);
    const runs = await Promise.all(Array.from({ length: jobs }, (_, job) => child('main.ts', [String(job * each), String(Math.min(each, schedules - job * each))])));
    const ended = runs.map(({ code, output }) => {
      if (code !== 0) throw new Error(output);
      return JSON.parse(output.trim().split('\n').at(-1)!) as { equal: number; parked: number };
    });
    const sum = (kind: 'equal' | 'parked') => ended.reduce((total, run) => total + run[kind], 0);
    expect(sum('equal') + sum('parked')).toBe(schedules);
    // most schedules can be survived, and those that cannot are among them
    expect(sum('equal')).toBeGreaterThan(schedules * 0.85);
    expect(sum('parked')).toBeGreaterThan(schedules * 0.01);
  });

  test.each([
    ['E17: 2000 schedules in which rows of a table are written again, that was often emptied before', 2_000, 'rewrites'],
    ['1000 schedules in which columns of the source get other names, and what follows is kept until that is decided', 1_000, 'renames'],
    ['E3: 1100 schedules likewise, in which many processes stand still and come back', 1_100, 'stalls'],
  ])('%s', async (_, count, also) => {
    const { code, output } = await child('main.ts', ['0', String(count), also]);
    if (code !== 0) throw new Error(output);
    const { equal, parked } = JSON.parse(output.trim().split('\n').at(-1)!) as { equal: number; parked: number };
    expect(equal + parked).toBe(count);
    expect(equal).toBeGreaterThan(count * 0.85);
  });

  test('the same seed is the same run', async () => {
    const [one, other] = await Promise.all([child('main.ts', ['77', '20']), child('main.ts', ['77', '20'])]);
    const steps = (output: string) => (JSON.parse(output) as { steps: number }).steps;
    expect(steps(one.output)).toBe(steps(other.output));
  });

  test('a violation is printed with its seed, the command that repeats it, and a smaller schedule that shows it too', async () => {
    const { code, output } = await child('main.ts', ['0', '50'], { planted: 'two workers fold the same events' });
    expect(code).toBe(1);
    const seed = /^seed (\d+): Violation: /m.exec(output)?.[1];
    expect(output).toContain(`again: node test/simulation/main.ts ${seed} 1`);
    expect(Number(/shrunk to (\d+) items/.exec(output)![1])).toBeLessThan(10);
  });
});
