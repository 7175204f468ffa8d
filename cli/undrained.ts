import { z } from 'zod';

const NotDrained = z.object({ drained: z.literal(false), msg: z.string() });

/** What workers said in these lines of their log about steps that did not end in time. */
export function undrained(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    if (!line.includes('"drained":false')) return [];
    const entry = NotDrained.safeParse(JSON.parse(line));
    return entry.success ? [entry.data.msg] : [];
  });
}
