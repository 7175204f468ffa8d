-- Events that a lane's destination refused for their content, and that its fence has passed, or is about to pass: a letter
-- is written first. What one changes is missing in the destination until it is replayed.
create table sluice.dead_letter (
  -- what a person types
  id bigint generated always as identity primary key,
  pipeline text not null,
  lane text not null,
  position text collate "C" not null,
  op text not null check (op in ('insert', 'update', 'delete')),
  key text,
  reason text not null,
  -- of its transaction, microseconds since 1970
  commit_us bigint not null,
  -- {"after": {column: text or null}, "before": {...}}, as Postgres texts; columns that the source did not send are missing
  content jsonb not null,
  -- what is sent instead, once a person has edited it, and how often that was
  edited jsonb,
  edits int not null default 0,
  state text not null default 'waiting' check (state in ('waiting', 'replayed', 'dropped')),
  found_at timestamptz not null default now(),
  settled_at timestamptz,
  unique (pipeline, lane, position)
);
create index on sluice.dead_letter (pipeline, lane) where state = 'waiting';
