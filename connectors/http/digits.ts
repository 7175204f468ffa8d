/** A safe integer. */
export function writeInteger(target: DataView, at: number, value: number): number {
  if (value >= 0 && value < billion) return writeDigits(target, at, value, digitsOf(value));
  if (value < 0) {
    target.setUint8(at, minus);
    return writeInteger(target, at + 1, -value);
  }
  const billions = Math.floor(value / billion);
  return writeDigits(target, writeInteger(target, at, billions), value - billions * billion, 9);
}

/** A finite number in its shortest form. Whole thousandths, as of milliseconds in seconds, are written by hand. */
export function writeFloat(target: DataView, at: number, value: number): number {
  if (value >= 0 && value < 1_000_000) {
    const thousandths = (value * 1000 + 0.5) | 0;
    if (thousandths / 1000 === value) return writeThousandths(target, at, thousandths);
  }
  return writeAscii(target, at, String(value));
}

/** `integerDigits` and `floatDigits` suffice for any. */
export const integerDigits = 17;
export const floatDigits = 26;

/** Microseconds since midnight as `10:00:00.000001`. */
export function writeClock(target: DataView, at: number, microseconds: number): number {
  const seconds = (microseconds / 1_000_000) | 0;
  const minutes = (seconds / 60) | 0;
  const hours = (minutes / 60) | 0;
  target.setUint16(at, decimalPairs[hours]!, true);
  target.setUint8(at + 2, colon);
  target.setUint16(at + 3, decimalPairs[minutes - hours * 60]!, true);
  target.setUint8(at + 5, colon);
  target.setUint16(at + 6, decimalPairs[seconds - minutes * 60]!, true);
  target.setUint8(at + 8, point);
  return writeDigits(target, at + 9, microseconds - seconds * 1_000_000, 6);
}

/** Eight hexadecimal digits. */
export function writeHex(target: DataView, at: number, word: number): number {
  target.setInt32(at, hexPairs[word >>> 24]! | (hexPairs[(word >>> 16) & 0xff]! << 16), true);
  target.setInt32(at + 4, hexPairs[(word >>> 8) & 0xff]! | (hexPairs[word & 0xff]! << 16), true);
  return at + 8;
}

/** Four words in ClickHouse's order (core/columns/vector.ts), 36 bytes. */
export function writeUuid(target: DataView, at: number, words: Uint32Array, row: number): number {
  const first = row * 4;
  const b = words[first]!;
  const d = words[first + 3]!;
  writeHex(target, at, words[first + 1]!);
  target.setUint8(at + 8, dash);
  writeHalf(target, at + 9, b >>> 16);
  target.setUint8(at + 13, dash);
  writeHalf(target, at + 14, b & 0xffff);
  target.setUint8(at + 18, dash);
  writeHalf(target, at + 19, d >>> 16);
  target.setUint8(at + 23, dash);
  writeHalf(target, at + 24, d & 0xffff);
  return writeHex(target, at + 28, words[first + 2]!);
}

/** Text without characters above 127. */
export function writeAscii(target: DataView, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) target.setUint8(at + index, text.charCodeAt(index));
  return at + text.length;
}

function writeHalf(target: DataView, at: number, half: number): void {
  target.setInt32(at, hexPairs[half >>> 8]! | (hexPairs[half & 0xff]! << 16), true);
}

function writeThousandths(target: DataView, at: number, thousandths: number): number {
  const whole = (thousandths / 1000) | 0;
  const fraction = thousandths - whole * 1000;
  const end = writeDigits(target, at, whole, digitsOf(whole));
  if (fraction === 0) return end;
  target.setUint8(end, point);
  writeDigits(target, end + 1, fraction, 3);
  return end + (fraction % 10 !== 0 ? 4 : fraction % 100 !== 0 ? 3 : 2);
}

/** `count` digits of a number below a billion, two at a time from the last. */
function writeDigits(target: DataView, at: number, value: number, count: number): number {
  let rest = value | 0;
  let end = at + count;
  for (; end - at >= 2; end -= 2) {
    const hundreds = (rest / 100) | 0;
    target.setUint16(end - 2, decimalPairs[rest - hundreds * 100]!, true);
    rest = hundreds;
  }
  if (end > at) target.setUint8(at, zero + rest);
  return at + count;
}

function digitsOf(value: number): number {
  if (value < 10_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1_000 ? 3 : 4;
  if (value < 1_000_000) return value < 100_000 ? 5 : 6;
  return value < 100_000_000 ? (value < 10_000_000 ? 7 : 8) : 9;
}

const billion = 1_000_000_000;
const minus = 0x2d;
const dash = 0x2d;
const point = 0x2e;
const zero = 0x30;
const colon = 0x3a;

/** Two digits as they lie in memory, the first in the low byte. */
const decimalPairs = Uint16Array.from({ length: 100 }, (_, value) => pair(String(value).padStart(2, '0')));
const hexPairs = Uint16Array.from({ length: 256 }, (_, value) => pair(value.toString(16).padStart(2, '0')));

function pair(digits: string): number {
  return digits.charCodeAt(0) | (digits.charCodeAt(1) << 8);
}
