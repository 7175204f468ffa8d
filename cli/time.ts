import { BadInput } from '../core/bad-input.ts';
import { parseDuration } from '../core/define/duration.ts';

/** `2026-11-01`, `2026-11-01T10:30` (UTC unless it says otherwise), `90m` for so long ago, `0m` or `now`; milliseconds since 1970. Throws BadInput. */
export function parseTime(option: string, text: string | undefined, nowMs: number): number {
  const example = `For example ${option} 2026-11-01, ${option} 2026-11-01T10:30 (UTC), or ${option} 90m for so long ago.`;
  if (text === undefined) throw new BadInput(`Which ${option}? ${example}`);
  if (/^(now|0(ms|s|m|h|d))$/.test(text)) return nowMs;
  const ago = /^[1-9]\d*(ms|s|m|h|d)$/.test(text) ? nowMs - parseDuration(text, option) : undefined;
  if (ago !== undefined && ago >= 0) return ago;
  const parts = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(text);
  const ms = parts ? Date.parse(parts[1] === undefined && text.length > 10 ? `${text}Z` : text) : Number.NaN;
  if (Number.isNaN(ms)) throw new BadInput(`${option} ${text} is no time. ${example}`);
  return ms;
}
