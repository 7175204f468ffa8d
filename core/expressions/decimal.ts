/** Scaled values are integers that a double holds exactly; what is larger is not counted. */
export const greatestScaled = Number.MAX_SAFE_INTEGER;

/** Decimal digits behind the point in the shortest notation of a number. */
export function decimalDigits(value: number): number {
  const [digits = '', exponent = '0'] = String(value).split('e');
  return Math.max(0, (digits.split('.')[1] ?? '').length - Number(exponent));
}

/** Without an exponent, as Postgres writes a numeric: '0.2'. */
export function decimalText(value: number): string {
  return (value + 0).toFixed(decimalDigits(value));
}

/**
 * Decimal text in bytes [start, end) as round(value * 10^scale), half away from zero as Postgres' round(numeric). NaN for
 * what is no number ('NaN', 'Infinity') or above greatestScaled.
 */
export function scaledDecimal(bytes: Uint8Array, start: number, end: number, scale: number): number {
  const negative = bytes[start] === minus;
  let value = 0;
  let missing = -1;
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === point) {
      missing = scale;
      continue;
    }
    const digit = byte - zero;
    if (digit < 0 || digit > 9) return Number.NaN;
    if (missing === 0) {
      // The first digit that is dropped decides.
      if (digit >= 5) value++;
      break;
    }
    value = value * 10 + digit;
    if (value > greatestScaled) return Number.NaN;
    if (missing > 0) missing--;
  }
  value *= 10 ** (missing < 0 ? scale : missing);
  if (value > greatestScaled) return Number.NaN;
  return negative ? 0 - value : value;
}

/** round(value * 10^(to - from)) of an integer, half away from zero; NaN above greatestScaled. */
export function rescale(value: number, from: number, to: number): number {
  if (to >= from) {
    const scaled = value * 10 ** (to - from);
    return Math.abs(scaled) <= greatestScaled ? scaled : Number.NaN;
  }
  const divisor = 10 ** (from - to);
  const rest = value % divisor;
  const quotient = (value - rest) / divisor;
  return (Math.abs(rest) * 2 >= divisor ? quotient + Math.sign(rest) : quotient) + 0;
}

/** The same of an integer beyond 2^53. */
export function rescaleLarge(value: bigint, from: number, to: number): number {
  const divisor = 10n ** BigInt(Math.max(0, from - to));
  const multiplied = value * 10n ** BigInt(Math.max(0, to - from));
  const rest = multiplied % divisor;
  const magnitude = (each: bigint) => (each < 0n ? -each : each);
  const away = magnitude(rest) * 2n >= divisor ? (rest < 0n ? -1n : rest > 0n ? 1n : 0n) : 0n;
  const scaled = multiplied / divisor + away;
  return magnitude(scaled) <= BigInt(greatestScaled) ? Number(scaled) : Number.NaN;
}

/** An integer with its point set `scale` digits from the right: (-5, 3) is '-0.005'. */
export function withPoint(value: bigint | number, scale: number): string {
  const text = String(value);
  if (scale === 0) return text;
  const negative = text.startsWith('-');
  const digits = (negative ? text.slice(1) : text).padStart(scale + 1, '0');
  return `${negative ? '-' : ''}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

const zero = 0x30;
const point = 0x2e;
const minus = 0x2d;
