import fc from 'fast-check';
import { expect, test } from 'vitest';
import { uuidAt } from '../../core/columns/vector.ts';
import { floatDigits, integerDigits, writeClock, writeFloat, writeHex, writeInteger, writeUuid } from './digits.ts';

function written(room: number, write: (target: DataView) => number): string {
  const bytes = new Uint8Array(room);
  return Buffer.from(bytes.subarray(0, write(new DataView(bytes.buffer)))).toString();
}

const near = (powers: readonly number[]) => fc.constantFrom(...powers.flatMap((power) => [power - 1, power, power + 1]));

test('integers are written as the engine writes them', () => {
  const any = fc.oneof(fc.maxSafeInteger(), fc.integer(), near(Array.from({ length: 16 }, (_, digits) => 10 ** digits)), fc.constantFrom(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
  fc.assert(fc.property(any, (value) => void expect(written(integerDigits, (target) => writeInteger(target, 0, value))).toBe(String(value))));
});

test('floats are written as the engine writes them', () => {
  const thousandths = fc.integer({ min: -2_000_000_000, max: 2_000_000_000 }).map((value) => value / 1000);
  const any = fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), thousandths, near([1_000_000, 1, 0.001]), fc.constantFrom(1.005, -0, 5e-324, Number.MAX_VALUE, -1.2345678901234567e-6));
  fc.assert(fc.property(any, (value) => void expect(written(floatDigits, (target) => writeFloat(target, 0, value))).toBe(String(value))));
});

test('clocks, hexadecimal words and uuids', () => {
  const day = fc.integer({ min: 0, max: 86_399_999_999 });
  fc.assert(fc.property(day, (us) => void expect(written(15, (target) => writeClock(target, 0, us))).toBe(`${new Date(us / 1000).toISOString().slice(11, 23)}${String(us % 1000).padStart(3, '0')}`)));
  fc.assert(fc.property(fc.nat(0xffffffff), (word) => void expect(written(8, (target) => writeHex(target, 0, word))).toBe(word.toString(16).padStart(8, '0'))));
  fc.assert(fc.property(fc.uint32Array({ minLength: 8, maxLength: 8 }), (words) => void expect(written(36, (target) => writeUuid(target, 0, words, 1))).toBe(uuidAt(words, 1))));
});
