import { Client } from 'pg';
import type { PartDetail } from '../activities/progress.ts';
import type { Config } from '../core/config.ts';
import { redefineWorkflowId } from '../core/redefine.ts';

export type PartReport = PartDetail & { readonly reportedAtMs: number };
/** By `pipeline/part`. */
export type ProgressByPart = ReadonlyMap<string, PartReport>;

/** Of pipelines whose definition has changed in place, and that are not complete since, by name: a sentence. */
export async function readFilling(config: Pick<Config, 'stateUrl'>): Promise<ReadonlyMap<string, string>> {
  const client = new Client({ connectionString: config.stateUrl, application_name: 'sluice status', connectionTimeoutMillis: 3_000, query_timeout: 3_000 });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query<{ pipeline: string; number: number; error: string | null }>("select pipeline, number, error from sluice.redefinition where state = 'filling'");
    return new Map(rows.map(({ pipeline, number, error }) => [pipeline, `redefinition ${number} is not complete: ${error ?? `the workflow ${redefineWorkflowId(pipeline, number)} fills what was added`}`]));
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
