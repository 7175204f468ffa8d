import { describe, expect, test } from 'vitest';
import { position } from '../../core/position.ts';
import { Acknowledgement } from './acknowledgement.ts';

describe('what is confirmed to the source', () => {
  test('I1, E6: a transaction end once every fence has passed its last event, not before', () => {
    const acknowledgement = new Acknowledgement(1 << 30, 0n);
    acknowledgement.spooled(position(1, 100n, 3), 108n);
    acknowledgement.spooled(position(1, 200n, 1), 208n);
    expect(acknowledgement.confirm(undefined, 300n)).toBe(0n);
    expect(acknowledgement.confirm(position(1, 100n, 2), 300n)).toBe(0n);
    expect(acknowledgement.confirm(position(1, 100n, 3), 300n)).toBe(108n);
    expect(acknowledgement.confirm(position(1, 200n, 0), 300n)).toBe(108n);
    expect(acknowledgement.confirm(position(1, 300n, 0), 300n)).toBe(208n);
  });

  test('E6: what ends below what was confirmed takes nothing back', () => {
    const acknowledgement = new Acknowledgement(1 << 30, 150n);
    acknowledgement.spooled(position(1, 100n, 3), 108n);
    expect(acknowledgement.confirm(position(1, 200n, 0), 300n)).toBe(150n);
  });

  test('E7: beyond maxSlotLag the spool is enough', () => {
    const acknowledgement = new Acknowledgement(50, 100n);
    acknowledgement.spooled(position(1, 120n, 1), 128n);
    expect(acknowledgement.confirm(undefined, 150n)).toBe(100n);
    expect(acknowledgement.confirm(undefined, 151n)).toBe(128n);
  });
});
