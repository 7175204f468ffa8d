-- The tables of the two sample pipelines. Each is made only when it is absent, so nothing that was changed by hand is
-- changed back.
do $$
begin
  if to_regclass('public.posts') is null then
    create table public.posts (
      id bigserial primary key,
      title text not null,
      author text,
      published_at timestamptz
    );
    alter table public.posts replica identity full;
  end if;

  if to_regclass('public.post_views') is null then
    create table public.post_views (
      id bigserial primary key,
      post_id bigint references public.posts,
      visitor uuid,
      viewed_at timestamptz not null,
      referrer text
    );
    alter table public.post_views replica identity full;
  end if;

  if to_regclass('public.content') is null then
    create table public.content (
      id uuid primary key default gen_random_uuid(),
      slug text unique not null,
      title text,
      content_type text check (content_type in ('podcast', 'newsletter', 'video')),
      length_seconds int,
      publish_ts timestamptz not null
    );
    alter table public.content replica identity full;
  end if;

  if to_regclass('public.engagement_events') is null then
    create table public.engagement_events (
      id bigserial primary key,
      content_id uuid references public.content,
      user_id uuid,
      event_type text check (event_type in ('play', 'pause', 'finish', 'click')),
      event_ts timestamptz not null,
      duration_ms int,
      device text,
      raw_payload jsonb
    );
    alter table public.engagement_events replica identity full;
  end if;
end
$$;
