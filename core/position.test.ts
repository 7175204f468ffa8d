import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lsnText, origin, parseLsn, parsePosition, position, positionAt, positionWords, rowsUpTo, toPosition } from './position.ts';

const parts = fc.record({ epoch: fc.nat({ max: 0xffffffff }), lsn: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), ordinal: fc.nat({ max: 0xffffffff }) });

describe('position', () => {
  test('E1, E2: text order is the order of epoch, then commit LSN, then ordinal', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        const [x, y] = [position(a.epoch, a.lsn, a.ordinal), position(b.epoch, b.lsn, b.ordinal)];
        const order = a.epoch - b.epoch || (a.lsn < b.lsn ? -1 : a.lsn > b.lsn ? 1 : 0) || a.ordinal - b.ordinal;
        expect(Math.sign(order)).toBe(x < y ? -1 : x > y ? 1 : 0);
        expect(parsePosition(x)).toEqual(a);
      }),
    );
  });

  test('words are the bytes of a UInt128, low first', () => {
    fc.assert(
      fc.property(parts, ({ epoch, lsn, ordinal }) => {
        const text = position(epoch, lsn, ordinal);
        const words = Uint32Array.from(positionWords(text));
        expect(positionAt(words, 0)).toBe(text);
        expect(words.reduceRight((sum, word) => (sum << 32n) | BigInt(word), 0n)).toBe(BigInt(`0x${text}`));
      }),
    );
  });

  test('rowsUpTo counts the rows at or below a position', () => {
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 30 }), parts, (list, limit) => {
        const texts = list.map(({ epoch, lsn, ordinal }) => position(epoch, lsn, ordinal)).sort();
        const words = Uint32Array.from(texts.flatMap((text) => positionWords(text)));
        const bound = position(limit.epoch, limit.lsn, limit.ordinal);
        expect(rowsUpTo(words, texts.length, bound)).toBe(texts.filter((text) => text <= bound).length);
      }),
    );
  });

  test('texts from outside are checked', () => {
    expect(toPosition(origin)).toBe(origin);
    expect(() => toPosition('16/B374D848')).toThrow(/not a position: "16\/B374D848"/);
    expect(() => toPosition(origin.slice(1))).toThrow(TypeError);
  });

  test('LSNs are written as Postgres does', () => {
    expect(lsnText(0x16_b374d848n)).toBe('16/B374D848');
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (lsn) => parseLsn(lsnText(lsn)) === lsn));
    expect(() => parseLsn('16')).toThrow(/not an LSN/);
  });
});
