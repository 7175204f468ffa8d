import { describe, expect, test } from 'vitest';
import { position } from '../../core/position.ts';
import { LanePace } from './lane-pace.ts';

const at = (lsn: bigint) => position(1, lsn, 1);
const mebibyte = 1 << 20;

describe('pacing a capture by its foremost lane', () => {
  test('waits when it is far ahead of a lane that moves, and goes on with a margin', () => {
    let behind = 40 * mebibyte;
    const pace = new LanePace(() => behind);
    expect(pace.isAhead(at(1n), 0)).toBe(true);
    behind = 15 * mebibyte;
    expect(pace.isAhead(at(2n), 100)).toBe(true);
    behind = 10 * mebibyte;
    expect(pace.isAhead(at(3n), 200)).toBe(false);
    behind = 15 * mebibyte;
    expect(pace.isAhead(at(4n), 300)).toBe(false);
  });

  test('lanes that stand still, or are not known, hold up nothing', () => {
    const pace = new LanePace(() => 100 * mebibyte);
    expect(pace.isAhead(undefined, 0)).toBe(false);
    expect(pace.isAhead(at(1n), 0)).toBe(true);
    expect(pace.isAhead(at(1n), 1_900)).toBe(true);
    expect(pace.isAhead(at(1n), 2_100)).toBe(false);
    expect(pace.isAhead(at(2n), 2_200)).toBe(true);
  });

  test('a lane that had nothing to do has not stood still', () => {
    let behind = 0;
    const pace = new LanePace(() => behind);
    expect(pace.isAhead(at(1n), 0)).toBe(false);
    // the first segment after an hour is not appended yet
    expect(pace.isAhead(at(1n), 3_600_000)).toBe(false);
    behind = 30 * mebibyte;
    expect(pace.isAhead(at(1n), 3_600_500)).toBe(true);
    expect(pace.isAhead(at(1n), 3_602_100)).toBe(false);
  });
});
