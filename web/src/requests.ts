import type { Backfill, BackfillChoice, Migration, PipelineStatus } from './protocol.ts';

/** The API asks for a token that this browser does not have. */
export class TokenNeeded extends Error {}

export async function listPipelines(signal: AbortSignal): Promise<readonly PipelineStatus[]> {
  const { pipelines } = (await ask('/pipelines', { signal })) as { pipelines: PipelineStatus[] };
  return pipelines;
}

export async function change(pipeline: string, verb: 'pause' | 'resume', lane?: string): Promise<void> {
  await ask(`/pipelines/${encodeURIComponent(pipeline)}/${verb}`, post(lane === undefined ? undefined : { lane }));
}

/** The newest ones. */
export async function listBackfills(pipeline: string, signal: AbortSignal): Promise<readonly Backfill[]> {
  const { backfills } = (await ask(backfillsOf(pipeline), { signal })) as { backfills: Backfill[] };
  return backfills;
}

export async function startBackfill(pipeline: string, choice: BackfillChoice): Promise<void> {
  await ask(backfillsOf(pipeline), post(choice));
}

export async function changeBackfill(pipeline: string, range: string, verb: BackfillVerb): Promise<void> {
  await ask(`${backfillsOf(pipeline)}/${encodeURIComponent(range)}/${verb}`, post());
}

/** Newest first. */
export async function listMigrations(pipeline: string, signal: AbortSignal): Promise<readonly Migration[]> {
  const { migrations } = (await ask(migrationsOf(pipeline), { signal })) as { migrations: Migration[] };
  return migrations;
}

export async function decideMigration(pipeline: string, number: number, decision: 'approve' | 'reject'): Promise<void> {
  await ask(`${migrationsOf(pipeline)}/${number}/${decision}`, post());
}

export type BackfillVerb = 'pause' | 'resume' | 'cancel';

/** Exchanges the token for a cookie, which event streams send along. */
export async function signIn(token: string): Promise<void> {
  await ask('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
}

function backfillsOf(pipeline: string): string {
  return `/pipelines/${encodeURIComponent(pipeline)}/backfills`;
}

function migrationsOf(pipeline: string): string {
  return `/pipelines/${encodeURIComponent(pipeline)}/migrations`;
}

function post(body?: object): RequestInit {
  if (body === undefined) return { method: 'POST' };
  return { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
}

/** Throws with the API's own sentence. */
async function ask(path: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(path, init);
  if (response.status === 204) return undefined;
  const answer = (await response.json().catch(() => ({}))) as { error?: { message: string } };
  const sentence = answer.error?.message ?? `The API answered ${response.status}.`;
  if (response.status === 401) throw new TokenNeeded(sentence);
  if (!response.ok) throw new Error(sentence);
  return answer;
}
