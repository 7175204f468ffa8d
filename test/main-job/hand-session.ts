import type { Client } from 'pg';

/** What a person with psql does to a live table: everything that a change stream must survive. */
export async function handSession(source: Client): Promise<void> {
  const statements = [
    // rows of yesterday change, and rows move between days and windows
    "update engagement_events set duration_ms = 1 + coalesce(duration_ms, 0), event_type = 'click' where event_ts between now() - interval '30 hours' and now() - interval '26 hours'",
    "update engagement_events set event_ts = event_ts + interval '1 day' where event_ts between now() - interval '40 hours' and now() - interval '39 hours'",
    "update engagement_events set event_ts = event_ts - interval '25 seconds' where id % 50 = 0 and event_ts > now() - interval '2 minutes'",
    'update post_views set viewed_at = viewed_at - interval \'35 seconds\' where id % 40 = 0',
    // keys change
    'update engagement_events set id = id + 1000000000 where id % 997 = 0',
    'update post_views set id = id + 1000000000 where id % 997 = 0',
    // a dimension is renamed, another loses its length, a third disappears with its events
    "update content set title = title || ' (new)' where slug in ('old-1', 'old-2', 'old-3')",
    "update content set length_seconds = 0 where slug = 'old-4'",
    "update posts set title = title || ' (new)' where id <= 5",
    'begin',
    "delete from engagement_events where content_id = (select id from content where slug = 'old-5')",
    "delete from content where slug = 'old-5'",
    'commit',
    // what is rolled back never was
    'begin',
    "insert into engagement_events (event_type, event_ts) select 'play', now() from generate_series(1, 500)",
    "delete from engagement_events where event_type = 'finish'",
    'rollback',
    // parts of a transaction are rolled back
    'begin',
    "insert into engagement_events (content_id, event_type, event_ts, duration_ms) select (select id from content limit 1), 'play', now(), 7 from generate_series(1, 50)",
    'savepoint s',
    'delete from engagement_events where id % 3 = 0',
    'rollback to s',
    "update engagement_events set device = 'by hand' where id % 500 = 1",
    'commit',
    // odd values
    "insert into engagement_events (content_id, event_type, event_ts, duration_ms, device, raw_payload) select (select id from content limit 1), t, s, d, v, p from (values ('play', now() + interval '1 hour', 5, 'future', null::jsonb), ('play', '9999-12-31', 5, 'far future', '{\"n\": 12345678901234567890.123}'), ('play', 'infinity', 5, 'never', '[]'), ('play', '0044-03-15 BC', 5, 'Rome', '\"\\u00e9\"'), (null, now(), null, null, 'null'), ('finish', now(), -2147483648, '', '{}')) as odd (t, s, d, v, p)",
    // a large value that an update does not touch
    "update engagement_events set raw_payload = (select jsonb_object_agg(g, md5(g::text)) from generate_series(1, 3000) g) where id % 5000 = 1",
    "update engagement_events set device = 'untouched payload' where id % 5000 = 1",
    // an unused column that appears is nobody's business
    'alter table engagement_events add column if not exists unused text',
    "update engagement_events set unused = 'x' where id % 700 = 0",
    // emptied, and filled again in the same transaction and after it
    'begin',
    "insert into engagement_events (content_id, event_type, event_ts, duration_ms) select (select id from content limit 1), 'click', now(), 1 from generate_series(1, 20)",
    'truncate engagement_events',
    "insert into engagement_events (content_id, event_type, event_ts, duration_ms) select c.id, 'play', now() - g * interval '20 seconds', g from content c, generate_series(1, 20) g",
    'commit',
    "insert into engagement_events (content_id, event_type, event_ts, duration_ms) select c.id, 'finish', now() - g * interval '1 hour', g from content c, generate_series(1, 10) g",
    'truncate post_views',
    "insert into post_views (post_id, viewed_at) select id, now() from posts",
  ];
  for (const statement of statements) await source.query(statement);
}
