import { createHash } from 'node:crypto';

/** What core/views/buckets.ts says of points, each by another way than it: the oracle of views that are divided by a value. */

/** Rows by bucket; null: those without a value. */
export type Buckets = ReadonlyMap<number | null, number>;

/** Of hundredths of a point the seven first binary digits, and half of what follows them. */
export function quantileBucket(points: number): number {
  const digits = Math.abs(points * 100).toString(2);
  if (digits.length <= 7) return points * 100;
  return Math.sign(points) * Number.parseInt(`${digits.slice(0, 7)}1`.padEnd(digits.length, '0'), 2);
}

/** Twelve binary digits of a hash, and the place of the first 1 among the 32 behind them. */
export function distinctBucket(points: number): number {
  const digits = [...createHash('sha256').update(String(points)).digest()].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const place = digits.slice(12, 44).indexOf('1');
  return Number.parseInt(digits.slice(0, 12), 2) * ranks + (place < 0 ? 33 : place + 1);
}

const registers = 4096;
const ranks = 64;

/** The least bucket up to which so large a part of the rows with a value are; null: there is none. */
export function quantileOf(buckets: Buckets, part: number): number | null {
  const ascending = [...buckets].flatMap(([bucket, rows]) => (bucket === null ? [] : [{ bucket, rows }])).sort((a, b) => a.bucket - b.bucket);
  const needed = Math.max(1, Math.ceil(part * ascending.reduce((sum, { rows }) => sum + rows, 0)));
  let reached = 0;
  for (const { bucket, rows } of ascending) {
    reached += rows;
    if (reached >= needed) return bucket;
  }
  return null;
}

/** How many values there were, by registers that have rows: algorithm 6 of arXiv 1702.01284, as it stands there. */
export function distinctOf(buckets: Buckets): number {
  const greatest = new Map<number, number>();
  for (const [bucket, rows] of buckets) {
    if (bucket === null || rows <= 0) continue;
    const register = Math.floor(bucket / ranks);
    greatest.set(register, Math.max(bucket % ranks, greatest.get(register) ?? 0));
  }
  const found = [...greatest.values()];
  let z = 0;
  for (let rank = 33; rank >= 1; rank--) z = 0.5 * (z + found.filter((each) => each === rank).length);
  z += registers * sigma((registers - found.length) / registers);
  return Math.round(registers ** 2 / (2 * Math.LN2 * z));
}

function sigma(empty: number): number {
  if (empty === 1) return Number.POSITIVE_INFINITY;
  let [x, y, z, before] = [empty, 1, empty, Number.NaN];
  while (z !== before) {
    x *= x;
    before = z;
    z += x * y;
    y += y;
  }
  return z;
}
