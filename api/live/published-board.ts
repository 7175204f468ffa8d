import type { Redis } from 'ioredis';
import { redisPrefix } from '../../core/redis-keys.ts';
import { type BoardContent, emptyBoard } from './board.ts';
import type { BoardPlace } from './boards.ts';
import { inOrder } from './top-of-set.ts';

/** The newest window that a relay lane published: a sorted set, and beside it what the window is and its keys' labels. */
export async function readPublishedBoard(redis: Redis, { at, labelName }: BoardPlace): Promise<BoardContent> {
  const prefix = redisPrefix(at);
  const answers = await redis
    .multi()
    .zrevrange(at, 0, -1, 'WITHSCORES')
    .hgetall(`${prefix}:window`)
    .hgetall(`${prefix}:labels`)
    .exec();
  const [ranking, window, labels] = (answers ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer;
  }) as [string[], Record<string, string>, Record<string, string>];
  if (window['end_ms'] === undefined) return emptyBoard;
  const label = (key: string) => {
    const all = JSON.parse(labels[key] ?? '{}') as Record<string, string | null>;
    return labelName === undefined ? null : (all[labelName] ?? null);
  };
  return {
    start: new Date(Number(window['start_ms'])).toISOString(),
    end: new Date(Number(window['end_ms'])).toISOString(),
    revision: Number(window['revision']),
    final: window['final'] === 'true',
    rows: inOrder(ranking).map(({ member, score }, index) => ({
      rank: index + 1,
      key: member,
      label: label(member),
      value: score,
    })),
  };
}
