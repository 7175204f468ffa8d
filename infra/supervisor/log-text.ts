const levels: Readonly<Record<number, string>> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
const startMark = '--- ';

/** A line of a log as one reads it: `time level message key=value`, stacks below. What is no line of our own logger stays. */
export function logText(line: string): string {
  const entry = parsed(line);
  if (!entry) return line;
  const { time, level, msg, pid: _, hostname: __, ...rest } = entry;
  const stacks: string[] = [];
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${valueText(value, stacks)}`);
  const head = [new Date(time).toISOString(), (levels[level] ?? String(level)).padEnd(5), ...(msg === undefined ? [] : [msg.replace(/\s*\n\s*/g, ' ')]), ...pairs].join(' ');
  return [head, ...stacks.flatMap((stack) => stack.split('\n')).map((each) => `    ${each.trim()}`)].join('\n');
}

/** Of a log's lines, those since its process was started last. */
export function sinceLastStart(lines: readonly string[]): readonly string[] {
  return lines.slice(Math.max(0, lines.findLastIndex((line) => line.startsWith(startMark) && line.includes(' starting '))));
}

type Entry = { readonly time: number; readonly level: number; readonly msg?: string; readonly [key: string]: unknown };

function parsed(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line) as Partial<Entry>;
    const isOurs = typeof entry.time === 'number' && typeof entry.level === 'number' && ['string', 'undefined'].includes(typeof entry.msg);
    return isOurs ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function valueText(value: unknown, stacks: string[]): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  const { stack, message, type } = (value ?? {}) as { stack?: unknown; message?: unknown; type?: unknown };
  if (typeof stack !== 'string' || typeof message !== 'string') return JSON.stringify(value);
  stacks.push(stack);
  return JSON.stringify(typeof type === 'string' ? `${type}: ${message}` : message);
}
