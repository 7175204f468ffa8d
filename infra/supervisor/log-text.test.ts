import { describe, expect, test } from 'vitest';
import { logText, sinceLastStart } from './log-text.ts';

describe('a line of a log', () => {
  test('has its time in UTC, its level, its message, and the rest as key=value', () => {
    const line = JSON.stringify({ level: 40, time: Date.UTC(2026, 10, 21, 10), pid: 7, pipeline: 'engagement', kept: { bytes: 5 }, why: 'it is away', msg: 'two\n lines' });
    expect(logText(line)).toBe('2026-11-21T10:00:00.000Z warn  two lines pipeline=engagement kept={"bytes":5} why="it is away"');
  });

  test('has the stack of an error below it', () => {
    const line = JSON.stringify({ level: 50, time: 0, err: { type: 'TypeError', message: 'no x', stack: 'TypeError: no x\n    at a (b.ts:1:2)' }, msg: 'a step failed' });
    expect(logText(line).split('\n')).toEqual(['1970-01-01T00:00:00.000Z error a step failed err="TypeError: no x"', '    TypeError: no x', '    at a (b.ts:1:2)']);
  });

  test.each(['--- 2026-11-21T10:00:00.000Z starting worker', '{"not":"ours"}', '{"level":30,"time":"now"}', '{ half', ''])('of somebody else stays as it is: %s', (line) => {
    expect(logText(line)).toBe(line);
  });
});

test('a failed start shows its own lines only', () => {
  expect(sinceLastStart(['old', '--- 1 starting worker', 'older', '--- 2 starting worker', 'new'])).toEqual(['--- 2 starting worker', 'new']);
  expect(sinceLastStart(['new'])).toEqual(['new']);
});
