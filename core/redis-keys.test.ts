import { describe, expect, test } from 'vitest';
import { overlap, redisKeysOf, redisPrefix } from './redis-keys.ts';

const views = { top: { key: 'content_id' } } as never;
const keysOf = (kind: 'redis-live' | 'redis-results', key: string) => redisKeysOf({ kind, key, view: 'top' }, views);

test('a key without a hash tag is one, and a key with one keeps it', () => {
  expect([redisPrefix('top'), redisPrefix('a:{b}:c'), redisPrefix('{}')]).toEqual(['{top}', 'a:{b}:c', '{{}}']);
});

describe('the keys of a sink', () => {
  test('of a live structure: its own, its panes, and a hash for each member', () => {
    expect(keysOf('redis-live', 'top')).toEqual({ names: ['top', '{top}:fence', '{top}:generation', '{top}:evicted', '{top}:end', '{top}:panes', '{top}:total'], families: ['{top}:pane:', '{top}:content:'] });
  });

  test('of published results', () => {
    expect(keysOf('redis-results', 'a:{b}')).toEqual({ names: ['a:{b}', 'a:{b}:fence', 'a:{b}:evicted', 'a:{b}:window', 'a:{b}:labels'], families: [] });
  });

  test.each([
    ['the same key', 'top', 'top', true],
    ['one that is the tag of the other', 'top', '{top}', true],
    ['another', 'top', 'top2', false],
    ['one that begins like a pane', 'top', '{top}:pane:1', true],
    ['one that begins with it', 'top', 'top:a', false],
  ])('%s', (_, ours, theirs, is) => {
    for (const kind of ['redis-live', 'redis-results'] as const) {
      expect(overlap(keysOf('redis-live', ours), keysOf(kind, theirs))).toBe(is);
      expect(overlap(keysOf(kind, theirs), keysOf('redis-live', ours))).toBe(is);
    }
  });
});
