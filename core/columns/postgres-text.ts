import type { Vector } from './vector.ts';
import { valueAt } from './vector.ts';

/** A row's value as Postgres writes it in text (DateStyle ISO, TimeZone UTC); null for NULL and 'unchanged'. */
export function postgresText(vector: Vector, row: number): string | null {
  const value = valueAt(vector, row);
  if (value === null || value === undefined) return null;
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`;
  switch (vector.type) {
    case 'bool':
      return value === true ? 't' : 'f';
    case 'timestamp':
      return timestampText(value as bigint, '');
    case 'timestamptz':
      return timestampText(value as bigint, '+00');
    case 'date':
      return dateText(value as number);
    case 'float4':
      return floatText(value as number, shortestFloat4);
    case 'float8':
      return floatText(value as number, String);
    default:
      return String(value);
  }
}

/** Microseconds since 1970 as `2026-11-21 10:00:00.000001+00`; 'infinity' for the int64 extremes. */
export function timestampText(microseconds: bigint, zone: '' | '+00'): string {
  if (microseconds === 0x7fffffffffffffffn) return 'infinity';
  if (microseconds === -0x8000000000000000n) return '-infinity';
  const day = 86_400_000_000n;
  const days = (microseconds - floorModulo(microseconds, day)) / day;
  const rest = floorModulo(microseconds, day);
  const seconds = Number(rest / 1_000_000n);
  const fraction = String(rest % 1_000_000n).padStart(6, '0').replace(/0+$/, '');
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, '0')).join(':');
  const { year, rest: date } = civil(Number(days));
  return `${yearText(year)}-${date} ${clock}${fraction && `.${fraction}`}${zone}${year <= 0 ? ' BC' : ''}`;
}

export function dateText(days: number): string {
  if (days === 0x7fffffff) return 'infinity';
  if (days === -0x80000000) return '-infinity';
  const { year, rest } = civil(days);
  return `${yearText(year)}-${rest}${year <= 0 ? ' BC' : ''}`;
}

function yearText(year: number): string {
  return String(year <= 0 ? 1 - year : year).padStart(4, '0');
}

/** Source: H. Hinnant, chrono-compatible date algorithms. Year 0 is 1 BC. */
function civil(days: number): { year: number; rest: string } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const pad = (part: number) => String(part).padStart(2, '0');
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), rest: `${pad(month)}-${pad(day)}` };
}

function floatText(value: number, shortest: (value: number) => string): string {
  return Object.is(value, -0) ? '-0' : shortest(value);
}

/** The fewest digits that give the same float4 again. */
function shortestFloat4(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  for (let digits = 6; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(value);
}

function floorModulo(value: bigint, modulus: bigint): bigint {
  return ((value % modulus) + modulus) % modulus;
}
