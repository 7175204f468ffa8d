-- Panes that have lost the row, or the rows, of a min or max (E15), written with the panes themselves. What says so for good is in
-- the pane's own row: it may have got a greater one since. They are computed anew by the next repair.
create table sluice.retracted_pane (
  pipeline text not null,
  pane_set text not null,
  pane_ms bigint not null,
  primary key (pipeline, pane_set, pane_ms)
);
