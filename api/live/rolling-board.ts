import type { Redis } from 'ioredis';
import { redisPrefix } from '../../core/redis-keys.ts';
import { type BoardContent, emptyBoard } from './board.ts';
import type { BoardPlace } from './boards.ts';
import { topOfSet } from './top-of-set.ts';

/** A ranking that a live lane keeps current: the sorted set, and beside it the end of the rolling window (E11). */
export async function readRollingBoard(redis: Redis, { at, window, top }: BoardPlace): Promise<BoardContent> {
  const prefix = redisPrefix(at);
  const [endUs, ranking] = await Promise.all([redis.get(`${prefix}:end`), topOfSet(redis, at, top)]);
  if (endUs === null) return emptyBoard;
  const endMs = Math.floor(Number(endUs) / 1000 / window.everyMs) * window.everyMs + window.everyMs;
  return {
    start: new Date(endMs - window.sizeMs).toISOString(),
    end: new Date(endMs).toISOString(),
    revision: null,
    final: null,
    rows: ranking.map(({ member, score }, index) => ({ rank: index + 1, key: member, label: null, value: score })),
  };
}
