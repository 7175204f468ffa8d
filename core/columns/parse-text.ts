/**
 * Postgres' text output to values, for sessions with DateStyle ISO and TimeZone UTC (the capture sets both). Not on the
 * hot path: a slot is in text mode only when a column has a type without a sure binary format.
 */
const maximum = 0x7fffffffffffffffn;
const minimum = -0x8000000000000000n;

/** Microseconds since 1970, exact for every timestamp that Postgres has, BC and year 294276 included. */
export function timestampFromText(text: string): bigint {
  if (text === 'infinity') return maximum;
  if (text === '-infinity') return minimum;
  const match = /^(\d{4,6})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?|Z)?( BC)?$/.exec(text);
  if (!match) throw new TypeError(`not a timestamp in ISO style: ${JSON.stringify(text)}`);
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = '0', offsetMinute = '0', offsetSecond = '0', bc] = match;
  const days = daysFromCivil(bc ? 1 - Number(year) : Number(year), Number(month), Number(day));
  const offset = (Number(offsetHour) * 3600 + Number(offsetMinute) * 60 + Number(offsetSecond)) * (sign === '-' ? -1 : 1);
  const seconds = BigInt(days) * 86_400n + BigInt(Number(hour) * 3600 + Number(minute) * 60 + Number(second) - offset);
  return seconds * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
}

/** Days since 1970; the infinities are the int32 extremes. */
export function dateFromText(text: string): number {
  if (text === 'infinity') return 0x7fffffff;
  if (text === '-infinity') return -0x80000000;
  const match = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/.exec(text);
  if (!match) throw new TypeError(`not a date in ISO style: ${JSON.stringify(text)}`);
  const [, year, month, day, bc] = match;
  return daysFromCivil(bc ? 1 - Number(year) : Number(year), Number(month), Number(day));
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar. Source: H. Hinnant, chrono-compatible date algorithms. */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
