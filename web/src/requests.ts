import type { PipelineStatus } from './protocol.ts';

/** The API asks for a token that this browser does not have. */
export class TokenNeeded extends Error {}

export async function listPipelines(signal: AbortSignal): Promise<readonly PipelineStatus[]> {
  const { pipelines } = (await ask('/pipelines', { signal })) as { pipelines: PipelineStatus[] };
  return pipelines;
}

export async function change(pipeline: string, verb: 'pause' | 'resume', lane?: string): Promise<void> {
  const body =
    lane === undefined ? {} : { body: JSON.stringify({ lane }), headers: { 'Content-Type': 'application/json' } };
  await ask(`/pipelines/${encodeURIComponent(pipeline)}/${verb}`, { method: 'POST', ...body });
}

/** Exchanges the token for a cookie, which event streams send along. */
export async function signIn(token: string): Promise<void> {
  await ask('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } });
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
