import type { PoolClient } from 'pg';
import { loadedDefinition, recordedDefinition, viewsHash, type LastingDefinition } from '../../../core/define/definition-hash.ts';
import type { Pipeline, SinkDefinition } from '../../../core/pipeline.ts';
import type { Position } from '../../../core/position.ts';
import { joinedRanges } from '../../../core/reconcile.ts';
import { setsAfter } from '../../../core/redefine-plan.ts';
import { joiningLanes, redefineWorkflowId } from '../../../core/redefine.ts';
import { sqlRelation } from '../../../core/sql-names.ts';
import { paneSetsOf } from '../../../core/views/pane-sets.ts';
import type { PaneSet } from '../../../core/views/panes.ts';
import { replacing, wholePanes, type Rebuilding } from '../../../core/views/rebuilding.ts';
import { isPublished } from '../../../core/views/windows.ts';
import { aggregateLane } from '../../aggregate/progress.ts';
import type { AggregateState } from '../../aggregate/tables.ts';
import { horizonAt } from '../../aggregate/trim.ts';
import { ConfigurationError } from '../../sink.ts';
import { noteRebuilds } from '../live-rebuilds.ts';
import { readRedefinition, type Redefinition } from '../redefinitions.ts';
import { inTransaction, outboxChannel, unhurried, type State } from '../state/state.ts';
import { assertKeptAsHere } from './kept-views.ts';
import { PaneStore } from './pane-store.ts';

export type Becoming = {
  readonly number: number;
  /** The definition that it becomes, as its source has its columns now, without kept panes. */
  readonly after: Pipeline;
  /** Of the spool; the aggregate lane must have all of it. Undefined: nothing is in it. */
  readonly tail: Position | undefined;
  /** Of the source. No event that came before is for panes that begin later than maxFuture after it, but those that are set aside. */
  readonly sourceNowMs: number;
};

/**
 * A pipeline becomes another, in one transaction, while no step of it runs and its aggregate lane has all that was captured: so
 * what comes below that place is for a snapshot of later, and what comes above is folded by the new definition (E18). Panes that are new are
 * marked, lanes that are new are noted with what must be kept for them (E20). False: the lane is behind. Done again it changes nothing.
 */
export function becomeOther(state: State, { number, after, tail, sourceNowMs }: Becoming): Promise<boolean> {
  return inTransaction(state, async (client) => {
    // API and comparisons read panes
    await client.query("set local lock_timeout = '10s'");
    const redefinition = await readRedefinition(client, after.name, number, 'for update');
    if (redefinition.state !== 'planned') return true;
    const before = await readBefore(client, redefinition, after);
    // or panes would seem to be there that are not
    await assertKeptAsHere(client, after.name);
    const { rows: [fence] } = await client.query<{ position: Position }>('select position from sluice.fence where pipeline = $1 and lane = $2 for update', [after.name, aggregateLane]);
    if (fence === undefined || (tail !== undefined && fence.position < tail)) return false;
    const { kept, fresh } = setsAfter(before, after);
    const { paneSets: _, ...plain } = after;
    const pipeline: Pipeline = { ...plain, ...(kept ? { paneSets: kept } : {}) };
    await new Change(client, redefinition, before, pipeline).run(paneSetsOf(pipeline).filter(({ name }) => fresh.some((set) => set.name === name)), sourceNowMs, fence.position);
    return true;
  });
}

/** Throws ConfigurationError unless it is what the plan was made of. */
async function readBefore(client: PoolClient, { epoch, beforeHash, number }: Redefinition, { name }: Pipeline): Promise<LastingDefinition> {
  const { rows: [shard] } = await client.query<{ epoch: string; state: string; definition_hash: string; definition: LastingDefinition | null }>('select epoch, state, definition_hash, definition from sluice.shard where pipeline = $1 and shard = $1 for update', [name]);
  if (shard?.state === 'streaming' && Number(shard.epoch) === epoch && shard.definition_hash === beforeHash && shard.definition) return recordedDefinition(shard.definition);
  throw new ConfigurationError(`Redefinition ${number} of ${name} counts no more: the pipeline was loaded anew, or its source's columns were migrated, since it was planned. Type ./sluice apply ${name} again.`);
}

class Change {
  readonly #client: PoolClient;
  readonly #redefinition: Redefinition;
  readonly #before: LastingDefinition;
  readonly #pipeline: Pipeline;

  constructor(client: PoolClient, redefinition: Redefinition, before: LastingDefinition, pipeline: Pipeline) {
    this.#client = client;
    this.#redefinition = redefinition;
    this.#before = before;
    this.#pipeline = pipeline;
  }

  async run(fresh: readonly PaneSet[], sourceNowMs: number, fence: Position): Promise<void> {
    const { name } = this.#pipeline;
    const { plan, number } = this.#redefinition;
    const { rows: [aggregate] } = await this.#client.query<{ horizon_ms: string; outbox_seq: string; dirty: AggregateState['dirty']; rebuilding: readonly Rebuilding[] }>('select horizon_ms, outbox_seq, dirty, rebuilding from sluice.aggregate where pipeline = $1 for update', [name]);
    const open = replacing(aggregate!.rebuilding);
    const busy = open.find(({ sets }) => sets.some((set) => plan.droppedSets.includes(set)));
    if (busy) throw new ConfigurationError(`The backfill of ${busy.backfill} computes panes that the new definition of ${name} does not have. Wait until it is done, or cancel it (./sluice backfill list ${name} shows them), and type ./sluice apply ${name} again.`);
    const untilMs = sourceNowMs + this.#pipeline.settings.maxFutureMs;
    // before the late output of sets that go does
    const marks = await this.#marks(fresh, Number(aggregate!.horizon_ms), untilMs);
    for (const set of paneSetsOf(this.#before)) if (plan.droppedSets.includes(set.name)) await this.#dropSet(set);
    // also where a worker that stood still has made a table of that name again, perhaps for other sums
    for (const set of fresh) await new PaneStore(name, set).forget(this.#client);
    const seq = await this.#emptyViews(Number(aggregate!.outbox_seq));
    for (const table of plan.recreated) await this.#client.query(`drop table if exists ${sqlRelation(table.includes('.') ? table : `results.${table}`)}`);
    for (const table of ['fence', 'relay_fence', 'http_pending', 'dead_letter', 'void_letters', 'live_rebuild', 'owed_shape']) await this.#client.query(`delete from sluice.${table} where pipeline = $1 and lane = any($2)`, [name, plan.ended]);
    await this.#client.query('delete from sluice.progress where pipeline = $1 and part = any($2)', [name, plan.ended]);
    await this.#join(fence);
    const dirty = Object.fromEntries(Object.entries(aggregate!.dirty).filter(([set]) => !plan.droppedSets.includes(set)));
    await this.#client.query('update sluice.aggregate set outbox_seq = $2, dirty = $3, rebuilding = $4, views = $5 where pipeline = $1', [name, seq, JSON.stringify(dirty), JSON.stringify([...aggregate!.rebuilding.filter(({ compares }) => compares === undefined), ...marks]), viewsHash(this.#pipeline)]);
    const { hash, json } = loadedDefinition(this.#pipeline);
    await this.#client.query('update sluice.shard set definition_hash = $2, definition = $3, redefinition = $4 where pipeline = $1', [name, hash, json, number]);
    await this.#client.query("update sluice.redefinition set state = 'filling', error = null where pipeline = $1 and number = $2", [name, number]);
  }

  /** All that is kept of the panes that are new, up to what no event of before can be for; and panes further on, of which others know that they have some. */
  async #marks(fresh: readonly PaneSet[], horizonMs: number, untilMs: number): Promise<readonly Rebuilding[]> {
    if (fresh.length === 0) return [];
    const id = redefineWorkflowId(this.#pipeline.name, this.#redefinition.number);
    const sets = fresh.map(({ name }) => name);
    const fromMs = horizonMs > 0 ? horizonMs : horizonAt(this.#pipeline, untilMs * 1000);
    const range = wholePanes({ fromMs, toMs: untilMs + 1 }, fresh);
    const lengths = new Map(paneSetsOf(this.#before).map(({ name, paneMs }) => [name, paneMs]));
    const { rows } = await this.#client.query<{ pane_set: string; pane_ms: string }>(`select distinct pane_set, pane_ms from sluice.late where pipeline = $1 and reason = 'future' and pane_ms >= $2 and pane_ms < $3 order by pane_ms limit $4`, [this.#pipeline.name, range.toMs, lastMs, mostFar]);
    const far = joinedRanges(rows.flatMap(({ pane_set, pane_ms }) => (lengths.has(pane_set) ? [wholePanes({ fromMs: Number(pane_ms), toMs: Number(pane_ms) + lengths.get(pane_set)! }, fresh)] : [])));
    return [range, ...far.map((each) => ({ ...each, fromMs: Math.max(each.fromMs, range.toMs) }))].map((each, index) => ({ ...each, backfill: index === 0 ? id : `${id}/${index}`, sets, fills: true as const }));
  }

  async #dropSet(set: PaneSet): Promise<void> {
    const store = new PaneStore(this.#pipeline.name, set);
    await this.#client.query(`drop table if exists ${store.table}`);
    for (const table of ['late', 'kept_change', 'retracted_pane', 'pane_base']) await this.#client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1 and pane_set = $2`, values: [this.#pipeline.name, set.name] }));
  }

  /** What was published of views that end or become others counts no more, also where it was not relayed yet. Returns the outbox's newest number. */
  async #emptyViews(outboxSeq: number): Promise<number> {
    const { name } = this.#pipeline;
    const { emptied } = this.#redefinition.plan;
    for (const table of ['published_window', 'outbox']) await this.#client.query(unhurried({ text: `delete from sluice.${table} where pipeline = $1 and view = any($2)`, values: [name, emptied] }));
    const said = emptied.filter((view) => view in this.#pipeline.views && isPublished(this.#pipeline, view));
    for (const [index, view] of said.entries()) await this.#client.query(`insert into sluice.outbox (pipeline, seq, view, message) values ($1, $2, $3, '{"truncated": true}')`, [name, outboxSeq + index + 1, view]);
    if (said.length > 0) await this.#client.query('select pg_notify($1, $2)', [outboxChannel, name]);
    return outboxSeq + said.length;
  }

  async #join(floor: Position): Promise<void> {
    const { plan } = this.#redefinition;
    const { rows, panes } = joiningLanes(plan, this.#pipeline.sinks);
    const joining = [...rows.map((lane) => [lane, floor] as const), ...panes.map((lane) => [lane, null] as const)];
    for (const [lane, at] of joining) await this.#client.query('insert into sluice.joining_lane (pipeline, lane, floor) values ($1, $2, $3) on conflict (pipeline, lane) do update set floor = excluded.floor', [this.#pipeline.name, lane, at]);
    // as after every load: what they were refused is in the source, or not; one that gets no rows gets its letters still
    const loaded = plan.loads.filter((lane) => hasLoad(this.#pipeline.sinks[lane]!));
    await this.#client.query('delete from sluice.dead_letter where pipeline = $1 and lane = any($2)', [this.#pipeline.name, loaded]);
    await this.#client.query('delete from sluice.detached_lane where pipeline = $1 and lane = any($2)', [this.#pipeline.name, [...plan.loads, ...plan.lives, ...plan.ended]]);
    const due = plan.lives.filter((lane) => !panes.includes(lane));
    if (due.length > 0) await noteRebuilds(this.#client, this.#pipeline, due);
  }
}

function hasLoad(sink: SinkDefinition): boolean {
  return sink.kind !== 'http' || sink.initialLoad;
}

/** What comes later, no Date may be. */
const lastMs = Date.UTC(275_000, 0, 1);
/** Of panes beyond maxFuture. */
const mostFar = 200;
