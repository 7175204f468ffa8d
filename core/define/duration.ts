const milliseconds = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** '250ms', '10s', '1m', '2h', '1d' in milliseconds. */
export type Duration = `${number}${keyof typeof milliseconds}`;

export function parseDuration(text: string, what: string): number {
  const parts = /^([1-9][0-9]*)(ms|s|m|h|d)$/.exec(text);
  if (!parts)
    throw new TypeError(
      `${what}: ${JSON.stringify(text)} is not a duration; write a whole number, at least 1, and ms, s, m, h or d, as in '10s'`,
    );
  return Number(parts[1]) * milliseconds[parts[2] as keyof typeof milliseconds];
}
