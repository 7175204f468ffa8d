import type { Client } from 'pg';
import { authors, postTitle, referrers } from './catalogue.ts';
import { Random } from './random.ts';
import { RecentIds } from './recent-ids.ts';
import type { Workload } from './workload.ts';

/** Views of a blog's posts, most of them of the few that are talked about. */
export class TrendingWorkload implements Workload {
  readonly #random: Random;
  readonly #recent = new RecentIds();
  #posts: readonly string[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  async prepare(client: Client): Promise<void> {
    this.#posts = await storedPosts(client);
    const missing = Array.from({ length: posts - this.#posts.length }, () => postTitle(this.#random));
    if (missing.length === 0) return;
    await client.query(
      `insert into public.posts (title, author, published_at)
       select title, author, now() - interval '5 hours' * place from unnest($1::text[], $2::text[]) with ordinality as p (title, author, place)`,
      [missing, missing.map(() => this.#random.pick(authors))],
    );
    this.#posts = await storedPosts(client);
  }

  async insert(client: Client, eventTimesMs: readonly number[]): Promise<number> {
    const random = this.#random;
    const { rows } = await client.query<{ first: string | null; last: string | null; written: number }>({
      name: 'insert trending',
      text: `with written as (
               insert into public.post_views (post_id, visitor, viewed_at, referrer)
               select * from unnest($1::bigint[], $2::uuid[], $3::timestamptz[], $4::text[]) returning id)
             select min(id)::text as first, max(id)::text as last, count(*)::int as written from written`,
      values: [
        eventTimesMs.map(() => this.#posts[random.zipf(this.#posts.length)]),
        eventTimesMs.map(() => random.uuid()),
        eventTimesMs.map((time) => new Date(time).toISOString()),
        eventTimesMs.map(() => random.pick(referrers)),
      ],
    });
    const { first, last, written } = rows[0]!;
    if (written > 0) this.#recent.add(BigInt(first!), BigInt(last!));
    return written;
  }

  /** A view turns out to be of another post, or of another moment. */
  async update(client: Client, count: number): Promise<number> {
    const random = this.#random;
    const ids = this.#recent.pick(random, count);
    const { rowCount } = await client.query({
      name: 'update trending',
      text: `update public.post_views v set post_id = u.post, viewed_at = v.viewed_at - u.shift * interval '1 millisecond'
               from unnest($1::bigint[], $2::bigint[], $3::int[]) as u (id, post, shift) where v.id = u.id`,
      values: [ids, ids.map(() => this.#posts[random.zipf(this.#posts.length)]), ids.map(() => (random.below(4) === 0 ? random.below(20_000) : 0))],
    });
    return rowCount ?? 0;
  }

  async delete(client: Client, count: number): Promise<number> {
    const { rowCount } = await client.query({
      name: 'delete trending',
      text: 'delete from public.post_views where id = any($1::bigint[])',
      values: [this.#recent.take(this.#random, count)],
    });
    return rowCount ?? 0;
  }

  async rename(client: Client): Promise<void> {
    await client.query('update public.posts set title = $2 where id = $1', [this.#random.pick(this.#posts), postTitle(this.#random)]);
  }
}

const posts = 200;

async function storedPosts(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>('select id::text from public.posts order by posts.id limit $1', [posts]);
  return rows.map(({ id }) => id);
}
