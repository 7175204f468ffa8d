import type { Client } from 'pg';
import { type Content, type ContentType, devices, makeContent, titleOf } from './catalogue.ts';
import { Random } from './random.ts';
import { RecentIds } from './recent-ids.ts';
import type { Workload } from './workload.ts';

/** Plays, pauses, finishes and clicks on a shelf of content of which a few are much liked. */
export class EngagementWorkload implements Workload {
  readonly #random: Random;
  readonly #catalogue: readonly Content[];
  readonly #users: readonly string[];
  readonly #recent = new RecentIds();
  /** What is on the shelf: the catalogue, or what the table held before. */
  #content: readonly StoredContent[] = [];
  #renames = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#catalogue = makeContent(this.#random, contents);
    this.#users = Array.from({ length: users }, () => this.#random.uuid());
  }

  async prepare(client: Client): Promise<void> {
    this.#content = await storedContent(client);
    if (this.#content.length === contents) return;
    const content = this.#catalogue;
    await client.query(
      `insert into public.content (id, slug, title, content_type, length_seconds, publish_ts)
       select id, slug, title, type, length, now() - interval '1 day' * (1 + place % 300)
         from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[]) with ordinality as c (id, slug, title, type, length, place)
       on conflict do nothing`,
      [content.map((c) => c.id), content.map((c) => c.slug), content.map((c) => c.title), content.map((c) => c.type), content.map((c) => c.lengthSeconds ?? null)],
    );
    this.#content = await storedContent(client);
  }

  async insert(client: Client, eventTimesMs: readonly number[]): Promise<number> {
    const random = this.#random;
    const columns: string[][] = [[], [], [], [], [], [], []];
    for (const time of eventTimesMs) {
      const content = this.#content[random.zipf(this.#content.length)]!;
      const type = eventTypes[random.below(eventTypes.length)]!;
      const length = content.length_seconds ?? 300;
      const device = random.pick(devices);
      columns[0]!.push(content.id);
      columns[1]!.push(random.below(50) === 0 ? 'null' : this.#users[random.zipf(users)]!);
      columns[2]!.push(type);
      columns[3]!.push(new Date(time).toISOString());
      columns[4]!.push(type === 'click' ? 'null' : String(Math.floor(random.next() * length * 1000)));
      columns[5]!.push(device);
      columns[6]!.push(payload(random, device));
    }
    const { rows } = await client.query<{ first: string | null; last: string | null; written: number }>({
      name: 'insert engagement',
      text: `with written as (
               insert into public.engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
               select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::int[], $6::text[], $7::jsonb[]) returning id)
             select min(id)::text as first, max(id)::text as last, count(*)::int as written from written`,
      values: columns.map((column) => `{${column.join(',')}}`),
    });
    const { first, last, written } = rows[0]!;
    if (written > 0) this.#recent.add(BigInt(first!), BigInt(last!));
    return written;
  }

  /** Most change what was measured; some move the event in time, a few of them into another window. */
  async update(client: Client, count: number): Promise<number> {
    const random = this.#random;
    const ids = this.#recent.pick(random, count);
    const { rowCount } = await client.query({
      name: 'update engagement',
      text: `update public.engagement_events e
                set event_type = u.type, duration_ms = u.duration, event_ts = e.event_ts - u.shift * interval '1 millisecond'
               from unnest($1::bigint[], $2::text[], $3::int[], $4::int[]) as u (id, type, duration, shift) where e.id = u.id`,
      values: [ids, ids.map(() => random.pick(eventTypes)), ids.map(() => random.below(600_000)), ids.map(() => (random.below(4) === 0 ? random.below(20_000) : 0))],
    });
    return rowCount ?? 0;
  }

  async delete(client: Client, count: number): Promise<number> {
    const { rowCount } = await client.query({
      name: 'delete engagement',
      text: 'delete from public.engagement_events where id = any($1::bigint[])',
      values: [this.#recent.take(this.#random, count)],
    });
    return rowCount ?? 0;
  }

  async rename(client: Client): Promise<void> {
    const content = this.#random.pick(this.#content);
    await client.query('update public.content set title = $2 where id = $1', [content.id, titleOf(this.#random, content.content_type, contents + ++this.#renames)]);
  }
}

type StoredContent = { readonly id: string; readonly content_type: ContentType; readonly length_seconds: number | null };

async function storedContent(client: Client): Promise<StoredContent[]> {
  const { rows } = await client.query<StoredContent>('select id, content_type, length_seconds from public.content order by id limit $1', [contents]);
  return rows;
}

const contents = 1_000;
const users = 20_000;
const eventTypes = ['play', 'play', 'play', 'play', 'pause', 'pause', 'finish', 'finish', 'click', 'click'] as const;

/** About 100 bytes, written as an element of an array literal. */
function payload(random: Random, device: string): string {
  const session = (random.word().toString(16) + random.word().toString(16)).padStart(16, '0');
  return `"{\\"session\\":\\"${session}\\",\\"app\\":\\"${device} 4.${random.below(30)}.${random.below(9)}\\",\\"volume\\":${random.below(101)},\\"network\\":\\"wifi\\",\\"speed\\":1.${random.below(10)}}"`;
}
