import type { Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import type { PaneSet } from '../../core/views/panes.ts';
import type { Check } from '../../core/verification.ts';
import { quote } from '../postgres/source-catalog.ts';
import type { ComparedColumn } from './columns.ts';
import { quoted } from './columns.ts';
import { sourceTable } from './dimensions.ts';
import { paneOf } from './pane-sql.ts';

/** How many letters make a lane's destination differ from the source. */
export type LaneLetters = { readonly waiting: number; readonly dropped: number; readonly edited: number };

/** Temporary tables: the letters whose events a destination does not have as the source does, and for panes their rows with a sign. */
const letters = 'pg_temp."dead letters"';
const letterRows = 'pg_temp."rows of dead letters"';

export async function readLetters(database: Client, pipeline: Pipeline, at: Position): Promise<ReadonlyMap<string, LaneLetters>> {
  const found = await copyLetters(database, pipeline, at);
  const event = `pg_temp.${quote(sourceTable('events'))}`;
  // an edited row was folded in the place of the one that was refused
  await database.query(
    `create temporary table "rows of dead letters" as select " sign", " position", event.* from (
         select 1 as " sign", position as " position", content -> 'after' as image from ${letters} where lane = 'aggregate'
         union all select -1, position, content -> 'before' from ${letters} where lane = 'aggregate'
         union all select -1, position, edited -> 'after' from ${letters} where lane = 'aggregate' and state = 'replayed'
         union all select 1, position, edited -> 'before' from ${letters} where lane = 'aggregate' and state = 'replayed'
       ) images cross join lateral jsonb_populate_record(null::${event}, image) event where image is not null`,
  );
  return found;
}

/** Only the letters themselves. */
export async function copyLetters(database: Client, { name }: Pipeline, at: Position): Promise<ReadonlyMap<string, LaneLetters>> {
  await database.query(
    `create temporary table "dead letters" as select lane, key, position, state, content, edited from sluice.dead_letter
      where pipeline = ${quoted(name)} and position <= ${quoted(at)} and (state <> 'replayed' or edits > 0)`,
  );
  const { rows } = await database.query<{ lane: string; waiting: number; dropped: number; edited: number }>(
    `select lane, count(*) filter (where state = 'waiting')::int as waiting, count(*) filter (where state = 'dropped')::int as dropped, count(*) filter (where state = 'replayed')::int as edited from ${letters} group by lane`,
  );
  return new Map(rows.map(({ lane, ...counts }) => [lane, counts]));
}

/**
 * Rows that are compared, as a condition on `column`, the key: not those of letters. What was dropped or edited and has
 * been changed since, so that the sink has a newer version, is compared again. `sinkRows`: its rows, with positions.
 */
export function withoutLetters(lane: string, { name, type }: ComparedColumn, sinkRows: string): string {
  return `${quote(name)} not in (select letter.key::${type} from ${letters} letter where lane = ${quoted(lane)} and letter.key is not null and (state = 'waiting'
    or not exists (select from pg_temp.${quote(sinkRows)} row where row.${quote(name)} = letter.key::${type} and row." position" > letter.position)))`;
}

/** The same for the members of a live structure, which is made of panes, by their key `column`. */
export function membersWithoutLetters(lane: string, column: string): string {
  const value = (image: string) => `select content -> '${image}' ->> ${quoted(column)} as member from ${letters} where lane in (${quoted(lane)}, 'aggregate')`;
  return `key not in (select member from (${value('after')} union all ${value('before')}) members where member is not null)`;
}

/** Rows that panes lack (sign 1), or have besides (-1): not those of panes that were computed anew since, which have what the source has (E18). */
export function rowsOfLetters({ name, source }: Pipeline, set: PaneSet, sign: 1 | -1): string {
  const time = `row.${quote(source.events.eventTime)}`;
  const pane = paneOf(`extract(epoch from ${time}) * 1000000`, set.paneMs);
  return `(select * from ${letterRows} row where " sign" = ${sign} and not case when isfinite(${time}) then exists (
      select from sluice.pane_base where pipeline = ${quoted(name)} and pane_set = ${quoted(set.name)} and base > row." position" and from_ms <= ${pane} and ${pane} < to_ms
    ) else false end)`;
}

/** A check, and what of it dead letters explain: those that wait make it unequal, whatever else it found. */
export function explained(check: Check, pipeline: string, lane: string, found: LaneLetters | undefined): Check {
  if (!found) return check;
  const { waiting, dropped, edited } = found;
  const parts = [
    ...(waiting > 0 ? [`${events(waiting)} in the dead letters and ${waiting === 1 ? 'waits' : 'wait'}: replay with ./sluice dlq replay ${pipeline} --lane ${lane}, or see ./sluice dlq list ${pipeline} --lane ${lane}`] : []),
    ...(dropped > 0 ? [`${events(dropped)} in the dead letters and ${dropped === 1 ? 'was' : 'were'} dropped`] : []),
    ...(edited > 0 ? [`${events(edited)} in the dead letters and ${edited === 1 ? 'was' : 'were'} edited before the replay`] : []),
  ];
  const note = [check.note, `${parts.join('; ')}. They are left out of the comparison`].filter((each) => each !== undefined).join('; ');
  return { ...check, equal: check.equal && waiting === 0, note };
}

function events(count: number): string {
  return count === 1 ? '1 event is' : `${count} events are`;
}
