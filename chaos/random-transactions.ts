import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { Random } from '../bench/load/random.ts';

/** The tables of a sample pipeline, as far as transactions by hand need to know them. */
type Tables = {
  readonly events: string;
  readonly dimension: string;
  /** Columns and values of an event of a random dimension row; $1: how far back its time is, in milliseconds. */
  readonly insert: string;
  readonly newDimension: string;
  readonly changeDimension: string;
  readonly changeEvent: string;
};

export const sampleTables: Readonly<Record<string, Tables>> = {
  engagement: {
    events: 'public.engagement_events',
    dimension: 'public.content',
    insert: `insert into public.engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
      select c.id, gen_random_uuid(), (array['play', 'pause', 'finish', 'click'])[1 + g % 4], now() - $1 * interval '1 millisecond', 1000 * (g % 700), 'chaos', jsonb_build_object('g', g)
        from generate_series(1, $2::int) g left join lateral (select id from public.content order by id offset (g * 31) % 300 limit 1) c on g % 20 > 0`,
    newDimension: "insert into public.content (slug, title, content_type, length_seconds, publish_ts) values (gen_random_uuid()::text, 'new', 'podcast', 600, now())",
    changeDimension: "update public.content set title = 'changed ' || now()::text, length_seconds = nullif((random() * 3000)::int, 0) where id in (select id from public.content order by random() limit 3)",
    changeEvent: "event_type = 'finish', duration_ms = coalesce(duration_ms, 0) + 1",
  },
  trending: {
    events: 'public.post_views',
    dimension: 'public.posts',
    insert: `insert into public.post_views (post_id, visitor, viewed_at)
      select p.id, gen_random_uuid(), now() - $1 * interval '1 millisecond'
        from generate_series(1, $2::int) g left join lateral (select id from public.posts order by id offset (g * 31) % 150 limit 1) p on g % 20 > 0`,
    newDimension: "insert into public.posts (title) values ('new')",
    changeDimension: "update public.posts set title = 'changed ' || now()::text where id in (select id from public.posts order by random() limit 3)",
    changeEvent: 'referrer = coalesce(referrer, \'\') || \'.\', post_id = (select min(id) from public.posts)',
  },
};

type Kind = 'rollback' | 'savepoints' | 'several tables' | 'key update' | 'dimensions' | 'many updates' | 'deletes' | 'late' | 'large';

/** How many of each kind were committed (or rolled back on purpose), and how many met a database that was away. */
export type Written = Readonly<Record<Kind | 'failed', number>>;

/**
 * What no load generator does and users do: transactions of every shape, one after the other, until the signal. Each
 * waits for `gate` before it begins.
 */
export async function writeRandomTransactions(url: string, pipeline: string, seed: number, gate: () => Promise<void>, signal: AbortSignal): Promise<Written> {
  const random = new Random(seed);
  const plan = sampleTables[pipeline]!;
  const written: Record<string, number> = { failed: 0 };
  let client: Client | undefined;
  while (!signal.aborted) {
    const kind = draw(random);
    // drawn before anything can fail, so that the same seed gives the same sequence
    const shape = { lateMs: 70_000 + random.below(500_000), rows: 1 + random.below(60), salt: random.below(1_000_000) };
    await sleep(100 + random.below(700), undefined, { signal }).catch(() => {});
    await gate();
    if (signal.aborted) break;
    try {
      client ??= await connected(url);
      await write(client, plan, kind, shape);
      written[kind] = (written[kind] ?? 0) + 1;
    } catch {
      written['failed'] = (written['failed'] ?? 0) + 1;
      await client?.end().catch(() => {});
      client = undefined;
    }
  }
  await client?.end().catch(() => {});
  return written as Written;
}

const kinds: readonly Kind[] = ['rollback', 'savepoints', 'several tables', 'key update', 'dimensions', 'many updates', 'deletes', 'late'];

function draw(random: Random): Kind {
  return random.below(25) === 0 ? 'large' : random.pick(kinds);
}

type Shape = { readonly lateMs: number; readonly rows: number; readonly salt: number };

async function write(client: Client, plan: Tables, kind: Kind, { lateMs, rows, salt }: Shape): Promise<void> {
  const insert = (count: number, ms = 0) => client.query(plan.insert, [ms, count]);
  const recent = `id in (select id from ${plan.events} order by id desc offset ${salt % 50} limit ${rows})`;
  await client.query('begin');
  switch (kind) {
    case 'rollback':
      await insert(rows);
      await client.query(plan.changeDimension);
      await client.query('rollback');
      return;
    case 'savepoints':
      await insert(rows);
      await client.query('savepoint a');
      await insert(rows);
      await client.query(`delete from ${plan.events} where ${recent}`);
      await client.query('rollback to a');
      await client.query('savepoint b');
      await insert(2);
      await client.query('release b');
      break;
    case 'several tables':
      await client.query(plan.newDimension);
      await insert(rows);
      await client.query(plan.changeDimension);
      await client.query(`update ${plan.events} set ${plan.changeEvent} where ${recent}`);
      break;
    case 'key update':
      await client.query(`update ${plan.events} set id = nextval(pg_get_serial_sequence('${plan.events}', 'id')) where id in (select id from ${plan.events} order by id desc offset ${salt % 50} limit 3)`);
      break;
    case 'dimensions':
      await client.query(plan.changeDimension);
      break;
    case 'many updates':
      await client.query(`update ${plan.events} set ${plan.changeEvent} where ${recent}`);
      break;
    case 'deletes':
      await client.query(`delete from ${plan.events} where ${recent}`);
      break;
    case 'late':
      await insert(rows, lateMs);
      break;
    case 'large':
      await insert(5_000);
      break;
  }
  await client.query('commit');
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'sluice chaos load', connectionTimeoutMillis: 5_000, statement_timeout: 30_000 });
  client.on('error', () => {}); // the next query says it
  await client.connect();
  return client;
}
