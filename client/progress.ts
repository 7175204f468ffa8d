import { Client } from 'pg';
import type { PartDetail } from '../activities/progress.ts';
import type { Config } from '../core/config.ts';
import { detachedText } from '../core/detach.ts';
import { redefineWorkflowId } from '../core/redefine.ts';

export type PartReport = PartDetail & { readonly reportedAtMs: number };
/** By `pipeline/part`. */
export type ProgressByPart = ReadonlyMap<string, PartReport>;

/** What is not complete of pipelines, as their definition has changed in place or lanes were detached, by name: sentences. */
export async function readFilling(config: Pick<Config, 'stateUrl'>): Promise<ReadonlyMap<string, readonly string[]>> {
  const client = new Client({ connectionString: config.stateUrl, application_name: 'sluice status', connectionTimeoutMillis: 3_000, query_timeout: 3_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ pipeline: string; number: number; error: string | null }>("select pipeline, number, error from sluice.redefinition where state = 'filling'");
    const { rows: detached } = await client.query<{ pipeline: string; lane: string; at: Date }>('select pipeline, lane, detached_at as at from sluice.detached_lane order by lane');
    const said = [
      ...rows.map(({ pipeline, number, error }) => [pipeline, `redefinition ${number} is not complete: ${error ?? `the workflow ${redefineWorkflowId(pipeline, number)} fills what was added`}`] as const),
      ...detached.map(({ pipeline, lane, at }) => [pipeline, detachedText(pipeline, lane, at.toISOString())] as const),
    ];
    return new Map(Object.entries(Object.groupBy(said, ([pipeline]) => pipeline)).map(([pipeline, each]) => [pipeline, each!.map(([, text]) => text)]));
  } finally {
    await client.end();
  }
}

/** What the parts of all pipelines last reported. Hints: they may be seconds old, or missing after a crash. */
export async function readProgress(config: Pick<Config, 'stateUrl'>): Promise<ProgressByPart> {
  const client = new Client({ connectionString: config.stateUrl, application_name: 'sluice status', connectionTimeoutMillis: 3_000, query_timeout: 3_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ pipeline: string; part: string; detail: PartDetail; at: string; waiting: string }>(
      `select progress.pipeline, part, detail, extract(epoch from reported_at) * 1000 as at, coalesce(waiting, 0) as waiting from sluice.progress
         left join (select pipeline, lane, count(*) as waiting from sluice.dead_letter where state = 'waiting' group by pipeline, lane) letters
           on letters.pipeline = progress.pipeline and lane = part`,
    );
    return new Map(rows.map(({ pipeline, part, detail, at, waiting }) => [`${pipeline}/${part}`, { ...detail, deadLetters: Number(waiting), reportedAtMs: Number(at) }]));
  } finally {
    await client.end();
  }
}
