/** 1.2 GiB: what a person can compare. */
export function bytesText(bytes: number): string {
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]] as const) {
    if (bytes >= size) return `${short(bytes / size)} ${unit}`;
  }
  return `${Math.round(bytes)} bytes`;
}

/** 3 MB/s. */
export function rateText(bytesPerSecond: number): string {
  return bytesPerSecond >= 1e6 ? `${short(bytesPerSecond / 1e6)} MB/s` : `${short(bytesPerSecond / 1e3)} kB/s`;
}

/** 14 min. */
export function timeText(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function short(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10);
}
