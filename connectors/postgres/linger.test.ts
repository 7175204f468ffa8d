import { beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../core/clock.ts';
import { Linger } from './linger.ts';

describe('when a segment is cut', () => {
  let nowMs: number;
  let timers: { atMs: number; ring: () => void }[];
  let rows: number;
  let cuts: number[];
  let delays: (number | undefined)[];
  const clock = {
    steady: () => nowMs,
    after(ms: number, ring: () => void) {
      const timer = { atMs: nowMs + ms, ring };
      timers.push(timer);
      return () => void (timers = timers.filter((each) => each !== timer));
    },
  } as Clock;

  beforeEach(() => {
    nowMs = 0;
    timers = [];
    rows = 1;
    cuts = [];
    delays = [];
  });

  /** With so many rows a millisecond. */
  function pass(ms: number, rate: number): void {
    for (const end = nowMs + ms; nowMs < end; ) {
      nowMs++;
      rows += rate;
      const due = timers.filter(({ atMs }) => atMs <= nowMs);
      timers = timers.filter((timer) => !due.includes(timer));
      for (const { ring } of due) ring();
    }
  }

  const linger = () => new Linger(clock, 50, { rows: () => rows, cut: (delayMs) => cuts.push(nowMs) > 0 && delays.push(delayMs) > 0 });

  const year2000Us = Date.UTC(2000, 0) * 1000;
  /** On 1 January 2026. */
  function begin(each: Linger, behindMs: number): void {
    const committedUs = Date.UTC(2026, 0) * 1000;
    const sent = BigInt(committedUs + behindMs * 1000 - year2000Us);
    each.serverTime(Number(sent >> 32n), Number(sent & 0xffffffffn));
    each.begin(committedUs);
  }

  test.each([
    { behindMs: -20, cutMs: 50, delayMs: undefined },
    { behindMs: 0, cutMs: 50, delayMs: undefined },
    { behindMs: 200, cutMs: 50, delayMs: undefined },
    { behindMs: 500, cutMs: 100, delayMs: 500 },
    { behindMs: 1_400, cutMs: 300, delayMs: 1_400 },
    { behindMs: 3_600_000, cutMs: 500, delayMs: 3_600_000 },
  ])('$behindMs ms behind: after $cutMs ms, and lanes are told $delayMs', ({ behindMs, cutMs, delayMs }) => {
    begin(linger(), behindMs);
    pass(1_000, 100);
    expect(cuts).toEqual([cutMs]);
    expect(delays).toEqual([delayMs]);
  });

  test('what is behind and gets nothing more is cut at once', () => {
    begin(linger(), 10_000);
    pass(120, 100);
    expect(cuts).toEqual([]);
    pass(1_000, 0);
    expect(cuts).toEqual([200]);
    expect(delays).toEqual([undefined]);
  });

  test('a transaction that comes in when it is time cuts with its end, and the next segment has its own time', () => {
    let inTransaction = true;
    const each = new Linger(clock, 50, { rows: () => rows, cut: () => !inTransaction && cuts.push(nowMs) > 0 });
    begin(each, 0);
    pass(70, 1);
    inTransaction = false;
    begin(each, 0);
    expect(cuts).toEqual([70]);
    expect(each.running).toBe(false);
    pass(5, 1);
    begin(each, 0);
    pass(1_000, 1);
    expect(cuts).toEqual([70, 125]);
  });

  test('nor does what was due cut a segment that was full meanwhile', () => {
    const each = new Linger(clock, 50, { rows: () => rows, cut: () => false });
    begin(each, 0);
    pass(70, 1);
    each.end();
    begin(each, 0);
    expect(each.running).toBe(true);
  });

  test('a segment that was full earlier is not cut again, and the next one has its own time', () => {
    const each = linger();
    begin(each, 0);
    pass(30, 1);
    each.end();
    expect(each.running).toBe(false);
    pass(10, 1);
    begin(each, 0);
    begin(each, 10_000);
    pass(1_000, 1);
    expect(cuts).toEqual([90]);
    expect(each.running).toBe(false);
  });
});
