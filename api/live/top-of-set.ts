import type { Redis } from 'ioredis';

export type Member = { readonly member: string; readonly score: string };

/**
 * The greatest members of a sorted set: greater score first, then the member's text ascending. Redis itself breaks ties
 * the other way round, so those that share the last score are asked for separately.
 */
export async function topOfSet(redis: Redis, key: string, top: number): Promise<readonly Member[]> {
  const greatest = inOrder(await redis.zrevrange(key, 0, top - 1, 'WITHSCORES'));
  const last = greatest.at(-1)?.score;
  if (last === undefined) return [];
  const above = greatest.filter(({ score }) => score !== last);
  const tied = await redis.zrangebyscore(key, last, last, 'LIMIT', 0, top);
  // between the two questions the set may have changed: nobody is shown twice
  const others = tied.filter((member) => above.every((each) => each.member !== member));
  return [...above, ...others.map((member) => ({ member, score: last }))].slice(0, top);
}

/** Members and scores as Redis lists them, ranked. */
export function inOrder(flat: readonly string[]): readonly Member[] {
  const members = Array.from({ length: flat.length / 2 }, (_, index) => ({
    member: flat[2 * index]!,
    score: flat[2 * index + 1]!,
  }));
  return members.sort((a, b) => Number(b.score) - Number(a.score) || (a.member < b.member ? -1 : 1));
}
