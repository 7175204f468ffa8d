import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import { toPosition, type Position } from '../../core/position.ts';
import { mostNamed, rangeLengthMs, type Compared } from '../../core/reconcile.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import type { PaneSet, PaneView } from '../../core/views/panes.ts';
import { boundsAt } from '../../core/views/watermark.ts';
import { paneTable } from '../postgres/aggregate/pane-store.ts';
import { quote } from '../postgres/source-catalog.ts';
import { connectRedis } from '../redis/client.ts';
import { livePlan, type LivePlan } from '../redis/live-shape.ts';
import { quoted, type ComparedColumn } from '../verification/columns.ts';
import { compare } from '../verification/compare.ts';
import { copyLetters, explained, membersWithoutLetters } from '../verification/dead-letters.ts';
import { NotComparable } from '../verification/not-comparable.ts';
import { measureSql, notAllZero } from '../verification/pane-sql.ts';
import { readAggregateNow, viewOf } from '../verification/windows.ts';
import { tableOfRows } from '../verification/working-database.ts';
import { laneAt } from './lane-at.ts';
import { Again, asOfOneMoment, readMarked } from './marked.ts';
import { nothing, type Place } from './place.ts';

type Definition = Extract<SinkDefinition, { kind: 'redis-live' }>;

/**
 * A live structure and the panes, as far as closed windows are in it: each member's numbers are the sums of its closed panes, as the
 * panes were at the structure's own fence, and of what the structure itself has in panes that are open. Members are read some at a time,
 * so that nobody else waits for Redis; each time has its own fence.
 */
export async function compareLive(place: Place, lane: string, definition: Definition): Promise<Compared> {
  const { database, pipeline, panes, name, signal } = place;
  const what = `members of ${definition.key}`;
  const closed = await closedPart(place, definition);
  if (!closed) return { ...nothing(lane, what), note: 'no window has closed yet' };
  const compares = randomUUID();
  await panes.markCompared(name, compares, closed);
  const since = (await panes.readFence())!;
  await database.query('discard temp');
  const structure = new LiveLook(place.addresses.redisUrl, pipeline, definition, closed.toMs);
  try {
    await laneAt(lane, () => structure.fence(), since, place);
    const rows = structure.rows(await keysOf(place, structure.plan.set, closed), since);
    await tableOfRows(database, members, structure.columns, rows, signal);
  } finally {
    structure.close();
  }
  const { rows: [found] } = await database.query<{ newest: Position | null }>(`select max(${quote(fence)}) as newest from pg_temp.${quote(members)}`);
  const newest = found!.newest ?? since;
  await laneAt('aggregate', () => panes.readFence(), newest, place);
  const letters = await asOfOneMoment(database, async () => {
    await readMarked(database, pipeline.name, compares, newest);
    const { rowCount } = await database.query('select from sluice.live_rebuild where pipeline = $1 and lane = $2 limit 1', [pipeline.name, lane]);
    if (rowCount !== 0) throw new Again('it is to be made anew out of the panes');
    await database.query(`create temporary table "closed panes" as ${closedPanes(pipeline, structure.plan, closed)}`);
    return copyLetters(database, pipeline, newest);
  });
  const check = await compareMembers(place, lane, definition, structure.columns);
  const { different, differences } = check;
  const { sizeMs } = pipeline.views[definition.view]!.window;
  const { note } = explained({ sink: lane, what, expected: empty, actual: empty, equal: true, differences: [] }, pipeline.name, lane, letters.get(lane));
  return { ...nothing(lane, what), windows: 1, different: different ? 1 : 0, differing: different ? [{ fromMs: closed.toMs - sizeMs, toMs: closed.toMs }] : [], differences, mend: { tag: 'live' }, ...(note === undefined ? {} : { note }) };
}

const members = 'live members';
/** Columns beside the key, the score and the fields of the hash, which cannot have these names. */
const fence = ' fence';
const newestMs = ' newest';
const open = (index: number) => ` open ${index}`;
const empty = { rows: 0, checksum: '0'.repeat(16) };

/** Of the window that is shown, at least; whole panes of every set. */
async function closedPart({ database, pipeline }: Place, { view }: Definition): Promise<PaneRange | undefined> {
  const { set, paneView } = viewOf(pipeline, view);
  const aggregate = await readAggregateNow(database, pipeline.name);
  const lengthMs = rangeLengthMs(pipeline);
  const { closesUpToMs } = boundsAt(aggregate, set.paneMs, pipeline.settings);
  if (!Number.isFinite(closesUpToMs)) return undefined;
  const toMs = Math.floor(closesUpToMs / lengthMs) * lengthMs;
  return { fromMs: Math.floor((toMs - paneView.window.sizeMs) / lengthMs) * lengthMs, toMs };
}

/** Those that have anything in closed panes. */
async function keysOf({ database, pipeline }: Place, set: PaneSet, { fromMs, toMs }: PaneRange): Promise<readonly string[]> {
  const within = `pane_ms >= ${fromMs} and pane_ms < ${toMs}`;
  const { rows } = await database.query<{ key: string }>(`select key from ${paneTable(pipeline.name, set)} where ${within} union select key from sluice.late where ${ofSet(pipeline, set)} and ${within}`);
  return rows.map(({ key }) => key);
}

function ofSet({ name }: Pipeline, set: PaneSet): string {
  return `pipeline = ${quoted(name)} and pane_set = ${quoted(set.name)}`;
}

/** What panes have and lack, and from which position on: `sign` says whether that counts at or below it, or above. */
function closedPanes(pipeline: Pipeline, { set, accumulators }: LivePlan, { fromMs, toMs }: PaneRange): string {
  const values = accumulators.map((place) => `${quote(set.accumulators[place]!.name)}::numeric as a${place}`).join(', ');
  const deltas = (sign: string) => accumulators.map((place) => `${sign}deltas[${place + 1}]::numeric`).join(', ');
  const within = `pane_ms >= ${fromMs} and pane_ms < ${toMs}`;
  // of what came too late the structure has what is in its window; rows from beyond the future bound it has not
  return `select pane_ms, key, null::text collate "C" as position, 0 as sign, ${values} from ${paneTable(pipeline.name, set)} where ${within}
    union all select pane_ms, key, position, 1, ${deltas('')} from sluice.late where ${ofSet(pipeline, set)} and reason = 'late' and ${within}
    union all select pane_ms, key, position, -1, ${deltas('-')} from sluice.kept_change where ${ofSet(pipeline, set)} and ${within}`;
}

async function compareMembers({ database, pipeline }: Place, lane: string, definition: Definition, columns: readonly ComparedColumn[]): Promise<{ readonly different: boolean; readonly differences: Compared['differences'] }> {
  const { set, paneView: view } = viewOf(pipeline, definition.view);
  const { accumulators } = livePlan(pipeline, definition);
  await database.query(`create temporary table "live expected" as ${expectedMembers(view, definition, accumulators)}`);
  const shown = columns.filter(({ name }) => !name.startsWith(' '));
  const names = shown.map(({ name }) => quote(name)).join(', ');
  // a transaction that the fence may stand in is there in part
  const unsure = `select m.key from pg_temp."closed panes" p join pg_temp.${quote(members)} m on m.key = p.key and left(m.${quote(fence)}, 24) = left(p.position, 24)`;
  const compared = `${membersWithoutLetters(lane, set.key)} and key not in (${unsure})`;
  const { equal, differences } = await compare(database, {
    sink: lane,
    what: definition.key,
    columns: shown,
    keys: 1,
    expected: `select ${names} from pg_temp."live expected" where ${compared}`,
    actual: `select ${names} from pg_temp.${quote(members)} where score is not null and ${compared}`,
    listed: mostNamed,
  });
  return { different: !equal, differences };
}

function expectedMembers(view: PaneView, { hash }: Definition, accumulators: readonly number[]): string {
  const sums = accumulators.map((place, index) => `m.${quote(open(index))} + coalesce(sum(p.a${place}), 0) as a${place}`).join(', ');
  const values = Object.entries(hash).map(([field, measure]) => `, ${measureSql(view, measure)} as ${quote(field)}`).join('');
  const counts = `case sign when 0 then true when 1 then p.position <= m.${quote(fence)} else p.position > m.${quote(fence)} end`;
  return `select * from (select key, ${measureSql(view, view.rankBy)}::float8 as score${values} from (
      select m.key, ${sums} from pg_temp.${quote(members)} m
        left join pg_temp."closed panes" p on p.key = m.key and p.pane_ms <= m.${quote(newestMs)} and p.pane_ms > m.${quote(newestMs)} - ${view.window.sizeMs} and ${counts}
       group by m.key, ${accumulators.map((_, index) => `m.${quote(open(index))}`).join(', ')}
    ) totals where ${notAllZero(accumulators)}) members where score <> 0`;
}

/** Reads members of a structure, each with the fence at that moment. */
class LiveLook {
  readonly plan: LivePlan;
  readonly columns: readonly ComparedColumn[];
  readonly #redis: Redis;
  readonly #key: string;
  readonly #prefix: string;
  readonly #openFromMs: number;

  constructor(url: string, pipeline: Pipeline, definition: Definition, openFromMs: number) {
    const { key } = definition;
    this.plan = livePlan(pipeline, definition);
    this.#redis = connectRedis(url);
    this.#redis.defineCommand('sluiceLiveLook', { numberOfKeys: 1, lua: script, readOnly: true });
    this.#key = key;
    this.#prefix = /\{[^}]+\}/.test(key) ? key : `{${key}}`;
    this.#openFromMs = openFromMs;
    this.columns = [
      { name: 'key', type: 'text collate "C"' },
      { name: fence, type: 'text collate "C"' },
      { name: newestMs, type: 'bigint' },
      { name: 'score', type: 'float8' },
      ...this.plan.accumulators.map((_, index) => ({ name: open(index), type: 'numeric' })),
      ...Object.keys(definition.hash).map((name) => ({ name, type: 'numeric' })),
    ];
  }

  async fence(): Promise<Position | undefined> {
    const kind = await this.#redis.type(this.#key);
    if (kind !== 'zset' && kind !== 'none') throw new NotComparable(`Redis, key ${this.#key}: it is a ${kind}, not a sorted set. Somebody else uses that key: choose another in the definition, or DEL it.`);
    const [found, generation] = await this.#redis.mget(`${this.#prefix}:fence`, `${this.#prefix}:generation`);
    return found != null && generation != null ? toPosition(found) : undefined;
  }

  /** Of these keys and of all members that are shown. Throws Again if the structure is not at or beyond `since` any more. */
  async *rows(keys: readonly string[], since: Position): AsyncGenerator<readonly (string | null)[]> {
    const all = new Set(keys);
    for await (const flat of this.#redis.zscanStream(this.#key, { count: 1_000 })) for (let at = 0; at < (flat as string[]).length; at += 2) all.add((flat as string[])[at]!);
    const wanted = [...all];
    for (let start = 0; start < wanted.length; start += atOnce) yield* await this.#some(wanted.slice(start, start + atOnce), since);
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #some(wanted: readonly string[], since: Position): Promise<(string | null)[][]> {
    const { paneMs } = this.plan.shape;
    const [at, end, ...found] = await this.#redis.sluiceLiveLook(this.#key, this.#prefix, JSON.stringify(this.plan.shape), this.#openFromMs, ...wanted);
    if (at === null || end === null || at < since) throw new Again('it is made anew');
    const newest = String(Math.floor(Number(end) / 1000 / paneMs) * paneMs);
    return found.map(([score, sums, ...fields], index) => [wanted[index]!, at, newest, score!, ...sums!.split(' '), ...fields]);
  }
}

/** Members: so many are a few milliseconds of Redis' time. */
const atOnce = 500;

const script = readFileSync(new URL('../redis/live-look.lua', import.meta.url), 'utf8');

declare module 'ioredis' {
  interface RedisCommander<Context> {
    sluiceLiveLook(key: string, prefix: string, shape: string, openFromMs: number, ...members: string[]): Result<[string | null, string | null, ...(string | null)[][]], Context>;
  }
}
