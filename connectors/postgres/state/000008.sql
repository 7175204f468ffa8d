-- How the source's tables look, as far as a pipeline knows: {"<table>":[{"name","type","typeName","oid","number"}]} by names of
-- the definition. Of the load that `epoch` counts; another load looks anew.
create table sluice.source_columns (
  pipeline text primary key,
  epoch bigint not null,
  columns jsonb not null
);

-- Changes of the source's schema, numbered from 1 in each pipeline. `position`: everything above it is of the new form; null:
-- no column of the definition is concerned. `columns`: as in source_columns, from there on. `shape`: what was decided of the
-- definition's columns, {"<table>":{"<column>":{"from","type","lost","was"}}}; that of the newest number that is done counts.
create table sluice.schema_change (
  pipeline text not null,
  number int not null,
  epoch bigint not null,
  position text collate "C",
  columns jsonb not null,
  changes jsonb not null,
  state text not null,
  decision text,
  error text,
  shape jsonb,
  detected_at timestamptz not null default now(),
  ended_at timestamptz,
  primary key (pipeline, number)
);
