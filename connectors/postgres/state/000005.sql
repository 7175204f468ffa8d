-- Live structures that are to be made anew, as panes got the event of a letter: one row for each letter and lane, written with
-- what settles the letter and deleted when it was done. Without it nothing would tell, once no letter waits any more.
create table sluice.live_rebuild (
  id bigint generated always as identity primary key,
  pipeline text not null,
  lane text not null
);
