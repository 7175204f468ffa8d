/**
 * What makes one definition another, both as JSON says them, in words: `views.top.rank.top is 20, and was 10`. An expression
 * that is another has changed, whatever in it.
 */
export function definitionChanges(before: unknown, now: unknown): readonly string[] {
  return changes('', byName(before), byName(now));
}

function changes(path: string, before: unknown, now: unknown): string[] {
  if (isSame(before, now)) return [];
  if (before === undefined) return [`${path} is new`];
  if (now === undefined) return [`${path} is gone`];
  if (isGroup(before) && isGroup(now)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
    const found = names.flatMap((name) => changes(path === '' ? name : `${path}.${name}`, before[name], now[name]));
    return found.length > 0 ? found : [`${path} are in another order`];
  }
  return isShort(before) && isShort(now) ? [`${path} is ${JSON.stringify(now)}, and was ${JSON.stringify(before)}`] : [`${path} has changed`];
}

type Group = Readonly<Record<string, unknown>>;

/** Columns are listed in their order; what changes of one is told by its name. */
function byName(definition: unknown): unknown {
  const { columns, ...rest } = definition as { readonly columns?: readonly (readonly [string, unknown])[] };
  return columns ? { ...rest, columns: Object.fromEntries(columns) } : rest;
}

function isGroup(value: unknown): value is Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('op' in value);
}

function isShort(value: unknown): boolean {
  return typeof value !== 'object' || value === null || Array.isArray(value);
}

function isSame(before: unknown, now: unknown): boolean {
  return JSON.stringify(before) === JSON.stringify(now);
}
