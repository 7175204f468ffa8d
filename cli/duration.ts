/** `0.4 s`, `48 s`, `2 min 48 s`, `3 h 5 min`, `2 d 3 h`. */
export function duration(ms: number): string {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(seconds, 60, 'min', 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return pair(minutes, 60, 'h', 'min');
  return pair(Math.round(minutes / 60), 24, 'd', 'h');
}

function pair(amount: number, size: number, large: string, small: string): string {
  return `${Math.floor(amount / size)} ${large} ${amount % size} ${small}`;
}
