import { Context } from '@temporalio/activity';
import { QueryRejectedError, Client, WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { examineStores } from '../connectors/examine-stores.ts';
import { readDetached } from '../connectors/postgres/detached-lanes.ts';
import { readFilling } from '../connectors/postgres/redefinitions.ts';
import { readLoaded, readShard, type LoadedRecord } from '../connectors/postgres/shard-state.ts';
import { assertNotBeingDestroyed } from '../connectors/postgres/state/destroyed.ts';
import { ConfigurationError } from '../connectors/sink.ts';
import { startVerdict, type Comparison, type SeenPipeline, type SeenReport } from '../core/bootstrap.ts';
import { definitionChanges } from '../core/define/definition-changes.ts';
import { loadedDefinition, writtenDefinition, writtenLasting, type LastingDefinition, type LoadedDefinition } from '../core/define/definition-hash.ts';
import { lanesOf } from '../core/define/lanes.ts';
import { detachedText } from '../core/detach.ts';
import { servicesOf, type Finding } from '../core/doctor.ts';
import { planRedefinition } from '../core/redefine-plan.ts';
import { rejoinText, type RedefinePlan } from '../core/redefine.ts';
import { pipelineWorkflowId } from '../core/workflow-names.ts';
import { pipelines } from '../pipelines/index.ts';
import { isRunning } from './dead-marks.ts';
import { beating } from './beating.ts';
import { failing } from './failures.ts';
import { rest } from './rest.ts';
import type { Runtime } from './runtime.ts';

/** What the bootstrap workflow sees. */
export type BootstrapActivities = {
  /** What there is, and how it differs from the definition that whoever asks has. */
  compareDefinition(input: { readonly pipeline: string; readonly written: string }): Promise<Comparison>;
  /** What the doctor finds that is not well. `asNew`: as if nothing of the pipeline were loaded. */
  examine(input: { readonly pipeline: string; readonly asNew: boolean }): Promise<readonly Finding[]>;
  /** A pipeline that runs takes over settings and addresses. Returns its parts that are parked or broken, `pipeline` for itself. */
  reload(input: { readonly pipeline: string }): Promise<readonly string[]>;
  /** Until it streams; or, once it is loaded, for a minute at most. */
  followStart(input: { readonly pipeline: string }): Promise<Started>;
};

/** `behind`: what it still waits for; null: what is written comes through to every destination. `rows`: that its first load was seen to have read; null: it was loaded before. */
export type Started = { readonly behind: string | null; readonly rows: number | null };

type BootstrapRuntime = Pick<Runtime, 'config' | 'state' | 'declared' | 'definition' | 'applied'>;

export function compareDefinition(runtime: BootstrapRuntime, { pipeline: name, written }: { readonly pipeline: string; readonly written: string }): Promise<Comparison> {
  return failing(async () => {
    const known = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined;
    if (!known) return { worker: ['it knows no pipeline of that name'], changes: [], isChanged: false, loaded: 'new', isRunning: false };
    await assertNotBeingDestroyed(runtime.state, name);
    const { shape } = await runtime.definition(name);
    const pipeline = await runtime.applied(name);
    const now = loadedDefinition(pipeline);
    const record = (await readLoaded(runtime.state)).get(name);
    const own = writtenDefinition(known);
    const asked = definitionChanges(writtenLasting(own, shape.columns), writtenLasting(written, shape.columns));
    const isOther = record !== undefined && record.hash !== now.hash;
    const isChanged = isOther || (record !== undefined && asked.length > 0);
    const redefine = isChanged && record?.isStreaming ? redefinition(record, now, asked.length > 0 ? [writtenLasting(own, shape.columns), writtenLasting(written, shape.columns)] : undefined) : undefined;
    const canBe = redefine !== undefined && redefine.impossible.length === 0;
    const filling = record?.isStreaming ? await readFilling(runtime.state, name) : undefined;
    const detached = [...(await readDetached(runtime.state, name))].filter(([lane]) => lane in pipeline.sinks);
    return {
      worker: definitionChanges(JSON.parse(own), JSON.parse(written)),
      isChanged: isChanged && !canBe,
      changes: redefine && !canBe ? redefine.impossible : [...(isOther && record.definition ? definitionChanges(withoutPanes(record.definition), JSON.parse(now.json)) : []), ...(record ? asked : [])],
      ...(canBe ? { redefine } : {}),
      ...(filling ? { filling: filling.number } : {}),
      ...(detached.length > 0 ? { detached: detached.map(([lane]) => rejoinText(lane, pipeline.sinks[lane]!)) } : {}),
      rejoins: Object.fromEntries(detached.map(([lane, { at }]) => [lane, at])),
      loaded: record?.isStreaming ? 'loaded' : 'new',
      isRunning: await isRunning(Context.current().client, pipelineWorkflowId(name)),
    };
  });
}

/** What makes of what runs what whoever asks has. Undefined: an earlier release did not put on record what runs. `asked`: what workers have read, and what that is. */
function redefinition({ hash, definition }: LoadedRecord, now: LoadedDefinition, asked: readonly [object, object] | undefined): RedefinePlan | undefined {
  if (!definition) return undefined;
  const to = JSON.parse(now.json) as LastingDefinition;
  const own = hash === now.hash ? undefined : planRedefinition(definition, to);
  const more = asked && planRedefinition(...(asked.map(addressed) as [LastingDefinition, LastingDefinition]));
  if (!own || !more) return own ?? more;
  // workers are to read the file first, and then it is planned as a whole
  return { ...own, impossible: [...own.impossible, ...more.impossible], loses: [...own.loses, ...more.loses], says: [...own.says, ...more.says] };
}

/** Keys that the environment has stand for themselves. */
function addressed(written: object): object {
  const { sinks } = written as { readonly sinks: Readonly<Record<string, object>> };
  return { ...written, sinks: Object.fromEntries(Object.entries(sinks).map(([name, sink]) => [name, 'key' in sink && typeof sink.key !== 'string' ? { ...sink, key: JSON.stringify(sink.key) } : sink])) };
}

function withoutPanes(record: LastingDefinition): object {
  const { paneSets: _, ...definition } = record;
  return definition;
}

export function examine(runtime: BootstrapRuntime, { pipeline: name, asNew }: { readonly pipeline: string; readonly asNew: boolean }): Promise<readonly Finding[]> {
  return failing(async () => {
    // what migrations have made of its columns goes with what is loaded
    const pipeline = asNew ? runtime.declared(name) : await runtime.applied(name);
    const findings = await examineStores(runtime.config, [pipeline], { services: servicesOf(pipeline), asNew });
    return findings.filter(({ state }) => state !== 'ok');
  });
}

export function reload({ pipeline }: { readonly pipeline: string }): Promise<readonly string[]> {
  return failing(async () => {
    const { client } = Context.current();
    try {
      await client.workflow.getHandle(pipelineWorkflowId(pipeline)).executeUpdate('reload');
    } catch (error) {
      // one whose fresh run is about to take over is asked again by the next attempt
      const { type, message } = ((error as Error).cause ?? {}) as { type?: string; message?: string };
      throw error instanceof WorkflowUpdateFailedError && type !== 'Rotating' ? new ConfigurationError(message ?? error.message, { cause: error }) : error;
    }
    const { state, capture, lanes } = await seen(client, pipeline);
    const stuck = [capture, ...lanes].filter((part) => part.state === 'parked' || part.state === 'broken').map(({ name }) => name);
    return [...stuck, ...(state === 'parked' ? ['pipeline'] : [])];
  });
}

export function followStart(runtime: BootstrapRuntime, { pipeline: name }: { readonly pipeline: string }): Promise<Started> {
  const context = Context.current();
  const now = { phase: 'its workflow begins', rows: null as number | null, ...(context.info.heartbeatDetails as object | undefined) };
  return beating(async () => {
    const { pipeline } = await runtime.definition(name);
    const readers = lanesOf(pipeline).flatMap((lane) => (lane.reads === 'segments' ? [lane.name] : []));
    let loadedSinceMs: number | undefined;
    for (;;) {
      const verdict = await look(runtime, context.client, name, readers);
      if (verdict.tag === 'streams') return { behind: null, rows: now.rows };
      if (verdict.tag === 'stopped') throw new ConfigurationError(`${name} does not run: ${verdict.why}`);
      const load = verdict.isLoading ? await loadOf(context.client, name) : undefined;
      now.rows = load?.rows ?? now.rows;
      now.phase = `waiting for ${load?.text ?? verdict.why}`;
      if (verdict.isLoading) loadedSinceMs = undefined;
      else loadedSinceMs ??= performance.now();
      if (performance.now() - (loadedSinceMs ?? performance.now()) > patienceMs) return { behind: verdict.why, rows: now.rows };
      await rest(context, lookMs);
    }
  }, () => now);
}

async function look(runtime: BootstrapRuntime, client: Client, name: string, readers: readonly string[]) {
  let status: SeenPipeline;
  try {
    status = await seen(client, name);
  } catch (error) {
    if (error instanceof QueryRejectedError || error instanceof WorkflowNotFoundError) throw new ConfigurationError(`${name} does not run: its workflow ${pipelineWorkflowId(name)} was ended. Type ./sluice apply ${name} again.`, { cause: error });
    return { tag: 'waits' as const, why: 'an answer of its workflow', isLoading: true };
  }
  const { rows } = await runtime.state.query<SeenReport & { part: string }>("select part, detail ->> 'fence' as fence, detail ->> 'error' as error from sluice.progress where pipeline = $1", [name]);
  const shard = await readShard(runtime.state, name);
  // its step may not have found out yet
  const detached = [...(await readDetached(runtime.state, name))].at(0);
  if (detached) return { tag: 'stopped' as const, why: detachedText(name, detached[0], detached[1].at), isLoading: false };
  const verdict = startVerdict(name, status, { readers, reports: new Map(rows.map(({ part, ...report }) => [part, report])), loadedAt: shard?.loadedAt });
  return { ...verdict, isLoading: status.state === 'loading' };
}

/** One that has ended would answer with what it was. */
function seen(client: Client, name: string): Promise<SeenPipeline> {
  const open = new Client({ connection: client.connection, namespace: client.options.namespace, workflow: { queryRejectCondition: 'NOT_OPEN' } });
  return open.workflow.getHandle(pipelineWorkflowId(name)).query<SeenPipeline>('status');
}

/** How far its first load is, or why that does not get on. */
async function loadOf(client: Client, name: string): Promise<{ readonly text: string; readonly rows: number | null } | undefined> {
  const { raw } = await client.workflow.getHandle(pipelineWorkflowId(name)).describe();
  const load = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'firstLoad');
  if (!load) return undefined;
  const details = load.heartbeatDetails?.payloads?.[0]?.data;
  const { phase, rows } = details ? (JSON.parse(Buffer.from(details).toString('utf8')) as { phase: string; rows: number }) : { phase: 'beginning', rows: null };
  const failed = (load.attempt ?? 1) > 1 && load.lastFailure?.message ? `; attempt ${load.attempt}, as the one before failed: ${load.lastFailure.message}` : '';
  return { text: `its first load: ${phase}${rows === null ? '' : `, ${rows.toLocaleString('en')} rows read`}${failed}`, rows };
}

const lookMs = 500;
/** For what is written after the load to come through: more than a canary needs on a busy machine. */
const patienceMs = 60_000;
