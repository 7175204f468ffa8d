import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { ScheduleNotFoundError, WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { Client as Source } from 'pg';
import { dropTable, lookAtTable } from '../connectors/clickhouse/drop-table.ts';
import { paneTable } from '../connectors/postgres/aggregate/pane-store.ts';
import { dropPublication, dropSlots, lookIntoSource } from '../connectors/postgres/drop-from-source.ts';
import { classified } from '../connectors/postgres/errors.ts';
import { readLoaded, type LoadedRecord } from '../connectors/postgres/shard-state.ts';
import { readFilling } from '../connectors/postgres/redefinitions.ts';
import { sourceNames } from '../connectors/postgres/source-catalog.ts';
import { assertDestroying, countRows, destroyedAt, dropRows, greatestEpoch, markDestroyed, markDestroying, type Destruction } from '../connectors/postgres/state/destroyed.ts';
import { inTransaction, type Queryable } from '../connectors/postgres/state/state.ts';
import { withSource } from '../connectors/postgres/with-source.ts';
import { countKeys, dropKeys } from '../connectors/redis/drop-keys.ts';
import { dropSpool, lookAtSpool } from '../connectors/spool/drop-spool.ts';
import { BadInput } from '../core/bad-input.ts';
import { lastingDefinition, type LastingDefinition } from '../core/define/definition-hash.ts';
import { nameProblems } from '../core/define/invalid-pipeline.ts';
import { placesOf, usedBy, type DestroyPlan, type Drop, type DestroyRequest, type Item, type Place } from '../core/destroy.ts';
import { killPoint } from '../core/kill-point.ts';
import type { Pipeline } from '../core/pipeline.ts';
import { bytesText } from '../core/quantities.ts';
import { sqlIdentifier, sqlRelation } from '../core/sql-names.ts';
import { paneSetsOf } from '../core/views/pane-sets.ts';
import { pipelineWorkflowId, reconcileScheduleId } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { isRunning } from './dead-marks.ts';
import { beating } from './beating.ts';
import { failing } from './failures.ts';
import { rest } from './rest.ts';
import type { Runtime } from './runtime.ts';

/**
 * What the destroy workflow sees. Every step may be repeated; what it finds gone already is no error. Each looks, right before it
 * drops or ends anything, whether its destruction goes on: it may have stood still while another attempt came to the end, and what
 * is there may be of what was applied since.
 */
export type DestroyActivities = {
  planDestroy(input: DestroyRequest & Spared): Promise<DestroyPlan>;
  /** From when this returns, nothing of the pipeline begins anew. */
  beginDestroy(input: Destruction & Partial<Pick<DestroyPlan, 'destroyedAt'>>): Promise<void>;
  /** The schedule, and the pipeline's own workflow, first, as they begin others. Returns the ids of those that it ended. */
  endWorkflows(input: Destruction & Spared & { readonly patienceMs: number }): Promise<readonly string[]>;
  dropSlots(input: Destruction): Promise<Dropped>;
  dropPublication(input: Destruction): Promise<Dropped>;
  dropDestination(input: Destruction & { readonly lane: string; readonly place: Place }): Promise<Dropped>;
  dropState(input: Destruction & { readonly paneTables: readonly string[] }): Promise<Dropped>;
  dropSpool(input: Destruction): Promise<Dropped>;
  /** It may begin again, from nothing. */
  finishDestroy(input: Destruction): Promise<void>;
};

/** What goes on: the destroy itself, what it is a part of, and the schedule, if that begins the pipeline again. */
type Spared = { readonly spared: readonly string[] };
/** Whether there was any of it. `stays`: why it was not dropped after all. */
export type Dropped = { readonly wasThere: boolean; readonly stays?: string };

type DestroyRuntime = Pick<Runtime, 'config' | 'state' | 'declared' | 'forget'>;

/** By what was put on record when it was loaded, else by its definition. */
export function planDestroy(runtime: DestroyRuntime, { pipeline: name, keepResults, spared }: DestroyRequest & Spared): Promise<DestroyPlan> {
  return failing(async () => {
    const { config, state } = runtime;
    const { own, others } = await definitions(runtime, name);
    // what a redefinition has not come to, too
    const places = [...Object.entries((await readFilling(state, name))?.plan.drops ?? {}), ...Object.entries(placesOf(own))];
    const paneTables = paneTablesOf(own).filter((table) => !others.some((other) => paneTablesOf(other).includes(table)));
    const source = await found(() => withSource(config.sourceUrl, `sluice ${name} destroy`, (client) => lookIntoSource(client, name)));
    const { slot, publication } = sourceNames(name);
    const more = source?.temporarySlots.length ? `, and ${source.temporarySlots.join(', ')} of backfills` : '';
    const destinations = await Promise.all(places.map(async ([lane, place]): Promise<Item> => {
      const user = usedBy(place, others);
      const stays = user !== undefined ? `pipeline ${user} writes there too` : keepResults ? 'it is to be kept' : undefined;
      return destinationItem(runtime, name, lane, place, stays);
    }));
    const rows = await countRows(state, name);
    const panes = await Promise.all(paneTables.map((table) => isTable(state, table)));
    const spool = spoolOf(runtime, name);
    const bytes = await lookAtSpool(spool);
    const at = await destroyedAt(state, name);
    return {
      workflows: await runningOf(Context.current().client, name, spared),
      items: [
        {
          drop: { kind: 'slot' },
          what: `replication slot ${slot} in the source${source?.slot ? `, for which it keeps ${bytesText(source.slot.keptBytes)}` : ''}${more}`,
          isThere: source && (source.slot !== undefined || source.temporarySlots.length > 0),
          byHand: `in the source, SELECT pg_drop_replication_slot('${slot}');`,
        },
        { drop: { kind: 'publication' }, what: `publication ${publication} in the source`, isThere: source && source.hasPublication, byHand: `in the source, DROP PUBLICATION ${sqlIdentifier(publication)};` },
        ...destinations,
        {
          drop: { kind: 'state', paneTables },
          what: `in the state database ${rows.toLocaleString('en')} rows${await lettersText(runtime, name)}, and ${paneTables.join(', ') || 'no table of panes'}`,
          // a mark that nothing follows is to be brought to its end too
          isThere: rows > 0 || panes.includes(true) || at === null,
          byHand: `./sluice destroy ${name}, when the state database answers`,
        },
        { drop: { kind: 'spool' }, what: `spool ${spool}${bytes === undefined ? '' : `, ${bytesText(bytes)}`}`, isThere: bytes !== undefined, byHand: `rm -r ${spool}` },
      ],
      untouched: [
        `the tables of the source (${[own.source.events, ...Object.values(own.source.dimensions)].map(({ relation }) => relation).join(', ')})`,
        ...Object.entries(own.sinks).flatMap(([lane, { kind }]) => (kind === 'http' ? [`what the receiver of ${lane} has got by HTTP`] : [])),
      ],
      destroyedAt: at ?? null,
      epoch: await greatestEpoch(state, name),
    };
  });
}

export function beginDestroy({ state }: DestroyRuntime, { destroyedAt: before, ...destruction }: Destruction & Partial<Pick<DestroyPlan, 'destroyedAt'>>): Promise<void> {
  return failing(() => classified('state database', () => markDestroying(state, destruction, before)));
}

export function finishDestroy({ state }: DestroyRuntime, destruction: Destruction): Promise<void> {
  return failing(() => classified('state database', () => markDestroyed(state, destruction)));
}

/** Throws if it has ended. */
function assertCurrent({ state }: DestroyRuntime, destruction: Destruction): Promise<void> {
  return classified('state database', () => assertDestroying(state, destruction));
}

/** Each is asked to end, which lets its steps come to their end; one that does not in time is terminated. */
export function endWorkflows(runtime: DestroyRuntime, { spared, patienceMs, ...destruction }: Destruction & Spared & { readonly patienceMs: number }): Promise<readonly string[]> {
  const { pipeline } = destruction;
  const context = Context.current();
  const ended = new Set<string>();
  const isToEnd = () => assertCurrent(runtime, destruction);
  return beating(async () => {
    const schedule = reconcileScheduleId(pipeline);
    await isToEnd();
    if (!spared.includes(schedule)) await context.client.schedule.getHandle(schedule).delete().catch(unlessGone);
    for (let ids: readonly string[] = [pipelineWorkflowId(pipeline)]; ids.length > 0; ids = await runningOf(context.client, pipeline, spared)) {
      for (const id of ids) if (await end(context, id, patienceMs, isToEnd)) ended.add(id);
      await rest(context, lookMs);
    }
    return [...ended];
  });
}

export function dropSlotsOf(runtime: DestroyRuntime, destruction: Destruction): Promise<Dropped> {
  const { pipeline } = destruction;
  return dropping('slot', async () => {
    const loaded = (await classified('state database', () => readLoaded(runtime.state))).get(pipeline)?.systemIdentifier;
    const dropped = await fromSource(runtime, destruction, (source) => dropSlots(source, pipeline, loaded || undefined));
    return { wasThere: dropped.length > 0 };
  });
}

export function dropPublicationOf(runtime: DestroyRuntime, destruction: Destruction): Promise<Dropped> {
  return dropping('publication', async () => ({ wasThere: await fromSource(runtime, destruction, (source) => dropPublication(source, destruction.pipeline)) }));
}

function fromSource<T>(runtime: DestroyRuntime, destruction: Destruction, drop: (source: Source) => Promise<T>): Promise<T> {
  return withSource(runtime.config.sourceUrl, `sluice ${destruction.pipeline} destroy`, async (source) => {
    await assertCurrent(runtime, destruction);
    return drop(source);
  });
}

/** `assertToGo`: asked right before anything goes; throws if it is not to go any more. In a transaction it may hold that until its end. */
export function dropPlace({ config, state }: DestroyRuntime, { pipeline, lane, place }: { readonly pipeline: string; readonly lane: string; readonly place: Place }, assertToGo: (client: Queryable, lock: '' | 'for update') => Promise<void>): Promise<Dropped> {
  const isToGo = () => classified('state database', () => assertToGo(state, ''));
  return dropping('destination', async () => {
    switch (place.kind) {
      case 'clickhouse': {
        const table = await dropTable(config.clickhouseUrl, { pipeline, lane }, place.table, isToGo);
        return { wasThere: table !== undefined, ...(table?.stays === undefined ? {} : { stays: table.stays }) };
      }
      case 'redis':
        return { wasThere: (await dropKeys(config.redisUrl, place.key, place.keys, isToGo)) > 0 };
      case 'results': {
        const wasThere = await isTable(state, sqlRelation(place.table));
        const drop = async (client: Queryable) => {
          // somebody may read it, for as long as a report takes
          await client.query("set local lock_timeout = '60s'");
          await assertToGo(client, 'for update');
          await client.query(`drop table if exists ${sqlRelation(place.table)}`);
          // that may have waited
          await assertToGo(client, 'for update');
        };
        await classified(place.table, () => inTransaction(state, drop));
        return { wasThere };
      }
    }
  });
}

export function dropDestination(runtime: DestroyRuntime, { lane, place, ...destruction }: Destruction & { readonly lane: string; readonly place: Place }): Promise<Dropped> {
  return dropPlace(runtime, { pipeline: destruction.pipeline, lane, place }, (client, lock) => assertDestroying(client, destruction, lock));
}

export function dropState({ state }: DestroyRuntime, { paneTables, ...destruction }: Destruction & { readonly paneTables: readonly string[] }): Promise<Dropped> {
  return dropping('state', async () => ({ wasThere: (await classified('state database', () => dropRows(state, destruction, paneTables))) > 0 }));
}

export function dropSpoolOf(runtime: DestroyRuntime, destruction: Destruction): Promise<Dropped> {
  const { pipeline } = destruction;
  return dropping('spool', async () => {
    const directory = spoolOf(runtime, pipeline);
    const bytes = await lookAtSpool(directory);
    await assertCurrent(runtime, destruction);
    await runtime.forget(pipeline);
    await dropSpool(directory);
    return { wasThere: bytes !== undefined };
  });
}

/** Its own, and those of all other pipelines that are defined or loaded. Throws BadInput. */
async function definitions(runtime: DestroyRuntime, name: string): Promise<{ own: LastingDefinition; others: readonly LastingDefinition[] }> {
  const [problem] = nameProblems('pipeline', [name]);
  if (problem !== undefined) throw new BadInput(`${problem}.`);
  const loaded = await classified('state database', () => readLoaded(runtime.state));
  const defined = Object.keys(pipelines).map((each) => definedAs(runtime, each));
  const own = loaded.get(name)?.definition ?? defined.find((each) => each.name === name);
  if (!own) throw new BadInput(unknownText(name, loaded));
  const records = [...loaded.values()].flatMap(({ definition }) => (definition ? [definition] : []));
  return { own, others: [...records, ...defined].filter((each) => each.name !== name) };
}

function unknownText(name: string, loaded: ReadonlyMap<string, LoadedRecord>): string {
  const there = `There are ${[...new Set([...Object.keys(pipelines), ...loaded.keys()])].join(', ') || 'none'}.`;
  if (loaded.has(name)) return `An earlier release loaded ${name} and did not put on record where it writes, and pipelines/index.ts does not list it any more. List it there as it was, type ./sluice down and ./sluice up, and then ./sluice destroy ${name}. ${there}`;
  return `There is no pipeline ${name}, neither in pipelines/index.ts nor in the state database. ${there}`;
}

/** Without sinks whose place is in a variable that this worker does not have: what it cannot write to, it has not. */
function definedAs(runtime: DestroyRuntime, name: string): LastingDefinition {
  try {
    return lastingDefinition(runtime.declared(name));
  } catch {
    const written = pipelines[name]!;
    const sinks = Object.entries(written.sinks).filter(([, sink]) => !('key' in sink) || typeof sink.key === 'string');
    return lastingDefinition({ ...written, sinks: Object.fromEntries(sinks) } as Pipeline);
  }
}

function paneTablesOf(definition: Pick<LastingDefinition, 'name' | 'views' | 'paneSets'>): readonly string[] {
  return paneSetsOf(definition).map((set) => paneTable(definition.name, set));
}

async function destinationItem({ config, state }: DestroyRuntime, pipeline: string, lane: string, place: Place, stays: string | undefined): Promise<Item> {
  const item = (what: string, isThere: boolean | null, byHand: string, why = stays): Item => ({ drop: { kind: 'destination', lane, place }, what, isThere, byHand, ...(why === undefined ? {} : { stays: why }) });
  switch (place.kind) {
    case 'clickhouse': {
      const table = await found(() => lookAtTable(config.clickhouseUrl, pipeline, place.table));
      return item(`table ${place.table} in ClickHouse${table ? `, ${table.rows.toLocaleString('en')} versions of rows` : ''}`, table === null ? null : table !== undefined, `in ClickHouse, DROP TABLE ${place.table}; ALTER TABLE sluice_fence DELETE WHERE pipeline = '${pipeline}';`, stays ?? table?.stays);
    }
    case 'redis': {
      const keys = await found(() => countKeys(config.redisUrl, place.key, place.keys));
      return item(`keys of ${place.key} in Redis${keys ? `, ${keys.toLocaleString('en')}` : ''}`, keys === null ? null : keys > 0, `in Redis, UNLINK ${place.keys.names.join(' ')}${place.keys.families.length > 0 ? `, and every key that begins with ${place.keys.families.join(' or ')}` : ''}`);
    }
    case 'results':
      return item(`table ${place.table} in the state database`, await isTable(state, sqlRelation(place.table)), `in the state database, DROP TABLE ${sqlRelation(place.table)};`);
  }
}

/** `table`: as it is written in SQL. */
async function isTable(state: DestroyRuntime['state'], table: string): Promise<boolean> {
  const { rows } = await classified(table, () => state.query<{ there: boolean }>('select to_regclass($1) is not null as there', [table]));
  return rows[0]!.there;
}

async function lettersText({ state }: DestroyRuntime, pipeline: string): Promise<string> {
  const { rows: [letters] } = await state.query<{ waiting: string }>("select count(*) as waiting from sluice.dead_letter where pipeline = $1 and state = 'waiting'", [pipeline]);
  return letters!.waiting === '0' ? '' : ` (${letters!.waiting} dead letters that wait among them)`;
}

function spoolOf({ config }: DestroyRuntime, pipeline: string): string {
  return join(config.dataDir, 'spool', pipeline);
}

/** Null: it could not be asked. */
async function found<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch {
    return null;
  }
}

async function runningOf(client: Client, pipeline: string, spared: readonly string[]): Promise<readonly string[]> {
  const own = pipelineWorkflowId(pipeline);
  const ids = new Set((await isRunning(client, own)) ? [own] : []);
  for await (const { workflowId } of client.workflow.list({ query: `SluicePipeline = '${pipeline}' AND ExecutionStatus = 'Running'` })) {
    if (!spared.includes(workflowId)) ids.add(workflowId);
  }
  return [...ids];
}

/** False: it did not run. */
async function end(context: Context, workflowId: string, patienceMs: number, isToEnd: () => Promise<void>): Promise<boolean> {
  const handle = context.client.workflow.getHandle(workflowId);
  const beganAt = performance.now();
  for (let looks = 0; ; looks++) {
    if (!(await isRunning(context.client, workflowId))) return looks > 0;
    await isToEnd();
    // again: a run that was about to be exchanged for a fresh one has told that nothing of it
    if (looks % looksPerRequest === 0) await handle.cancel().catch(unlessGone);
    if (performance.now() - beganAt > patienceMs) await handle.terminate('its pipeline is destroyed, and it did not end by itself').catch(unlessGone);
    await rest(context, lookMs);
  }
}

function unlessGone(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError || error instanceof ScheduleNotFoundError)) throw error;
}

async function dropping(kind: Drop['kind'], work: () => Promise<Dropped>): Promise<Dropped> {
  const dropped = await beating(work);
  if (kind !== 'publication' && kind !== 'spool') killPoint(`destroy/${kind}`);
  return dropped;
}

const lookMs = 200;
const looksPerRequest = 25;
