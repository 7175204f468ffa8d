-- What Sluice keeps of its own, in the state database. Positions are 32 hexadecimal digits (core/position.ts); the C
-- collation makes text order stream order. Panes have a table for each pane set, made by panes.ts: sluice.panes_<pipeline>_<set>.
create schema if not exists sluice;
create schema if not exists results;

-- How the shard's stream began: the first load and its epoch (E1, E28). A load that was lost raises the epoch.
create table sluice.shard (
  pipeline text not null,
  shard text not null,
  epoch bigint not null,
  slot text not null,
  system_identifier text not null,
  -- 'loading' until every sink has the snapshot, then 'streaming'
  state text not null check (state in ('loading', 'streaming')),
  loaded_at text collate "C",
  -- what the source was told it may forget, written before it was told: a slot that is ahead of it was moved by others,
  -- and a stream that would begin before it has a gap (E6)
  confirmed_lsn pg_lsn,
  confirmed_to text collate "C",
  -- the tables' OIDs at the load: another table under the old name has changes that this stream never saw
  tables jsonb,
  definition_hash text not null,
  changed_at timestamptz not null default now(),
  primary key (pipeline, shard)
);

-- Fences of lanes whose effects are in this database or that have no store of their own (HTTP, relays to Postgres).
create table sluice.fence (
  pipeline text not null,
  lane text not null,
  position text collate "C" not null,
  moved_at timestamptz not null default now(),
  primary key (pipeline, lane)
);

-- The aggregate lane's clock: microseconds since 1970, a function of the event sequence up to its fence (E13, I6).
create table sluice.aggregate (
  pipeline text not null primary key,
  clock_us bigint,
  -- the clock at the end of the first load: windows that it had passed were published as final (E28)
  loaded_clock_us bigint,
  -- the epoch of the load that made what is here
  load_epoch bigint,
  -- panes before this are not kept: milliseconds since 1970
  horizon_ms bigint not null default 0,
  outbox_seq bigint not null default 0,
  -- closed panes that changed since windows were last looked at: {"<pane set>": [pane_ms, ...]}
  dirty jsonb not null default '{}'
);

-- Chunks of the first load that are in the panes.
create table sluice.load_chunk (
  pipeline text not null,
  chunk int not null,
  primary key (pipeline, chunk)
);

-- Windows that were published: which revision, and whether later events can still change them. The digest stands for the
-- ranks, keys and sums last published, '' for none: a window is published again only if they changed.
create table sluice.published_window (
  pipeline text not null,
  view text not null,
  window_end_ms bigint not null,
  revision int not null,
  final boolean not null,
  digest text not null,
  primary key (pipeline, view, window_end_ms)
);

-- Signed deltas that came too late for their pane, or from beyond maxFuture: panes + these = SQL over the source (E14, I7).
-- The position is the transaction's, with ordinal 0; deltas are in the order of the pane set's accumulators.
create table sluice.late (
  pipeline text not null,
  pane_set text not null,
  pane_ms bigint not null,
  key text collate "C" not null,
  position text collate "C" not null,
  reason text not null check (reason in ('late', 'future')),
  deltas bigint[] not null,
  primary key (pipeline, pane_set, pane_ms, key, position, reason)
);

-- Every version of a dimension's row by the position that made it; row null: deleted (E16). Values as Postgres text.
create table sluice.dimension_version (
  pipeline text not null,
  dimension text not null,
  key text collate "C" not null,
  position text collate "C" not null,
  row jsonb,
  primary key (pipeline, dimension, key, position)
);

-- Results in the order in which they were computed; relays publish them. seq has no gaps within a pipeline.
create table sluice.outbox (
  pipeline text not null,
  seq bigint not null,
  view text not null,
  -- {"windowStartMs","windowEndMs","revision","final","rows":[{"rank","key","measures":{},"labels":{}}]} or {"truncated":true}
  message jsonb not null,
  created_at timestamptz not null default now(),
  primary key (pipeline, seq)
);

-- How far relays are. The fence of a relay to Redis is in Redis; what is here follows it, so that the outbox can be trimmed.
create table sluice.relay_fence (
  pipeline text not null,
  lane text not null,
  seq bigint not null,
  primary key (pipeline, lane)
);

-- HTTP: the range that is being sent, recorded before it is sent, so that a retry sends exactly it (E12).
create table sluice.http_pending (
  pipeline text not null,
  lane text not null,
  from_position text collate "C" not null,
  to_position text collate "C" not null,
  message_id text not null,
  primary key (pipeline, lane)
);

-- What each part of a pipeline is doing now: written by workers about once a second, read by status and the dashboard.
-- Lost with a crash of the server, and nothing depends on it.
create unlogged table sluice.progress (
  pipeline text not null,
  part text not null,
  detail jsonb not null,
  reported_at timestamptz not null default now(),
  primary key (pipeline, part)
);
