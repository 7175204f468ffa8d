import type { Pipeline, SinkDefinition } from './pipeline.ts';

/** What all keys of a structure but the ZSET itself begin with, so that they are in one slot of a cluster. */
export function redisPrefix(key: string): string {
  // A name with a hash tag of its own keeps it; any other name becomes the tag.
  return /\{[^}]+\}/.test(key) ? key : `{${key}}`;
}

/** The hash of member m is `{key}:<memberWord>:m`. `viewKey`: the column by which the view counts. */
export function memberWord(viewKey: string): string {
  return viewKey.replace(/_id$/, '');
}

/** Every key that a sink has: these, and those that begin with one of the families. */
export type RedisKeys = { readonly names: readonly string[]; readonly families: readonly string[] };

export function redisKeysOf({ kind, key, view }: Pick<Extract<SinkDefinition, { key: string }>, 'kind' | 'key' | 'view'>, views: Pick<Pipeline, 'views'>['views']): RedisKeys {
  const prefix = redisPrefix(key);
  const own = (names: readonly string[]) => [key, ...names.map((name) => `${prefix}:${name}`)];
  if (kind === 'redis-results') return { names: own(['fence', 'evicted', 'window', 'labels']), families: [] };
  return { names: own(['fence', 'generation', 'evicted', 'end', 'panes', 'total']), families: [`${prefix}:pane:`, `${prefix}:${memberWord(views[view]!.key)}:`] };
}

export function overlap(ours: RedisKeys, theirs: RedisKeys): boolean {
  const has = ({ names, families }: RedisKeys, key: string) => names.includes(key) || families.some((family) => key.startsWith(family));
  return theirs.names.some((key) => has(ours, key)) || ours.names.some((key) => has(theirs, key)) || ours.families.some((each) => theirs.families.some((other) => each.startsWith(other) || other.startsWith(each)));
}
