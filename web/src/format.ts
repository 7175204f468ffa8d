const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat('en', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

export function number(value: number): string {
  if (value >= 1_000_000) return short.format(value);
  return value < 100 ? tenths.format(value) : whole.format(value);
}

/** As a person says it: '40 ms', '1.2 s', '3 min', '2 h'. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${tenths.format(ms / 1_000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} days`;
}

/** The time of day here. */
export function time(iso: string): string {
  return clock.format(new Date(iso));
}

/** A range of time here: 'Nov 1, 10:30 – 11:30'; with seconds and years where they matter. */
export function range(from: string, to: string, nowMs: number): string {
  const [first, last] = [new Date(from), new Date(to)];
  const years = new Set([first, last, new Date(nowMs)].map((each) => each.getFullYear()));
  const hasSeconds = first.getTime() % 60_000 !== 0 || last.getTime() % 60_000 !== 0;
  return new Intl.DateTimeFormat('en', {
    ...(years.size > 1 && { year: 'numeric' }),
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    ...(hasSeconds && { second: '2-digit' }),
    hourCycle: 'h23',
  })
    .formatRange(first, last)
    .replaceAll('\u2009', ' ');
}

/** Rounded down: what is not done is not said to be. */
export function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

/** What an input of a date and a time takes: '2026-11-01T10:30', here. */
export function localInput(ms: number): string {
  const date = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** The ISO time, in UTC, of what such an input gives; undefined: it is not filled in. */
export function isoOfInput(local: string): string | undefined {
  // without an offset: a time here
  const date = new Date(local);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

/** '2026-11-01 10:30' of an ISO time, in UTC, as commands and the Temporal Web UI say it. */
export function utc(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}
