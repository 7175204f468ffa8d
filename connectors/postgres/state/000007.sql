-- Panes that a backfill computes anew from the source while the stream goes on (E18). `rebuilding` says which:
-- [{"backfill","sets":["<pane set>"],"fromMs","toMs","voidBelow"}]. It is in the row that every apply locks, so that an apply either
-- sees a mark or is over before it.
alter table sluice.aggregate add column rebuilding jsonb not null default '[]';

-- What changes in such panes, by transaction; the same shape as sluice.late.
create table sluice.kept_change (
  pipeline text not null,
  pane_set text not null,
  pane_ms bigint not null,
  key text collate "C" not null,
  position text collate "C" not null,
  deltas bigint[] not null,
  primary key (pipeline, pane_set, pane_ms, key, position)
);

-- Panes in [from_ms, to_ms) that were computed anew: everything below `base` is in them, for good.
create table sluice.pane_base (
  pipeline text not null,
  pane_set text not null,
  from_ms bigint not null,
  to_ms bigint not null,
  base text collate "C" not null,
  primary key (pipeline, pane_set, from_ms, to_ms)
);
