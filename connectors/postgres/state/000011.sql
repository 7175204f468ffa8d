-- The number of the last change of its definition that a pipeline has taken over (sluice.redefinition); 0: none since its load.
alter table sluice.shard add column redefinition int not null default 0;

-- Changes of a pipeline's definition in place, numbered from 1. `before_hash`, `after_hash`: of the definitions; what it runs by is in
-- sluice.shard. `plan`: what there is to do (core/redefine.ts). state: planned, nothing has changed yet; filling, the pipeline is the other one, and
-- what was added is not complete; done; cancelled, before anything was changed, or by a load.
create table sluice.redefinition (
  pipeline text not null,
  number int not null,
  epoch bigint not null,
  before_hash text not null,
  after_hash text not null,
  plan jsonb not null,
  keep_results boolean not null,
  state text not null check (state in ('planned', 'filling', 'done', 'cancelled')),
  error text,
  began_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (pipeline, number)
);

-- Lanes of the definition that do not run yet, as what they are to begin with is still being made. `floor`: what the stream has above it must be
-- kept for them (E20); null: they are made out of panes, and need nothing of it.
create table sluice.joining_lane (
  pipeline text not null,
  lane text not null,
  floor text collate "C",
  primary key (pipeline, lane)
);

-- Of which views and panes an apply may be (core/define/definition-hash.ts, viewsHash); null: an earlier release wrote last. A worker that stood
-- still while they became others would fold by those of before.
alter table sluice.aggregate add column views text;

-- Lanes for which nothing is kept any more, as the spool had kept all that it might (onBudget: 'detach'); `fence`: where they were, if that was known.
create table sluice.detached_lane (
  pipeline text not null,
  lane text not null,
  fence text collate "C",
  detached_at timestamptz not null default now(),
  primary key (pipeline, lane)
);
