-- What migrations have left undone in the tables of lanes that were detached: nothing waits for their destinations. `forms`: those that a table may be
-- of; `after`: the one that it is to be of (connectors/clickhouse/table.ts, SinkTable). It is done, if the migration was, when the table is opened again.
create table sluice.owed_shape (
  pipeline text not null,
  lane text not null,
  number int not null,
  forms jsonb not null,
  after jsonb not null,
  primary key (pipeline, lane, number)
);
