import { WorkflowNotFoundError, WorkflowUpdateFailedError, type WorkflowExecutionDescription } from '@temporalio/client';
import { Client } from 'pg';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { isOver } from '../core/migration/migration-state.ts';
import type { Decision } from '../core/migration/plan.ts';
import { migrationWorkflowId, type SchemaChange } from '../core/migration/schema-change.ts';
import { unloadedText } from '../core/unloaded.ts';
import type { MigrationStatus } from '../workflows/migration.ts';
import { withTemporal } from './temporal-connection.ts';
import { webUiUrl } from './web-ui.ts';

export type ListedMigration = SchemaChange & {
  readonly decision: Decision | null;
  /** What a sink said to it. */
  readonly error: string | null;
  /** ISO times. */
  readonly detected: string;
  readonly ended: string | null;
  readonly workflowId: string;
  readonly workflowUrl: string | null;
  /** What it means and what may be decided; null of one that is over, or when nobody answers. */
  readonly text: string | null;
};

type Row = SchemaChange & { readonly decision: Decision | null; readonly error: string | null; readonly detected_at: Date; readonly ended_at: Date | null };

/** Newest first. */
export async function listMigrations(config: Config, pipeline: string): Promise<ListedMigration[]> {
  const { rows } = await withState(config, (client) => client.query<Row>('select pipeline, number, epoch::int, position, changes, state, decision, error, detected_at, ended_at from sluice.schema_change where pipeline = $1 order by number desc limit $2', [pipeline, mostListed]));
  return withTemporal(config, async (client) =>
    Promise.all(
      rows.map(async ({ detected_at, ended_at, ...change }): Promise<ListedMigration> => {
        const workflowId = migrationWorkflowId(pipeline, change.number);
        const handle = client.workflow.getHandle(workflowId);
        const isOpen = ended_at === null;
        const [status, isGone] = isOpen ? await Promise.all([handle.query<MigrationStatus>('status').catch(() => undefined), handle.describe().then(isCutOff, (error: unknown) => error instanceof WorkflowNotFoundError && change.state !== 'planned')]) : [undefined, false];
        const now = isGone ? { state: 'cancelled' as const, error: `somebody has ended its workflow. To be asked again: ./sluice resume ${pipeline} --lane capture` } : status ? { state: status.state, error: status.error ?? change.error } : {};
        return { ...change, detected: detected_at.toISOString(), ended: ended_at?.toISOString() ?? null, ...now, workflowId, workflowUrl: webUiUrl(config, workflowId), text: isGone ? null : (status?.plan?.text ?? null) };
      }),
    ),
  );
}

/** `number`: of one that waits; the one that does by default. Throws BadInput if none does, or if that cannot be done. */
export async function decideMigration(config: Config, pipeline: string, decision: Decision, number?: number): Promise<MigrationStatus> {
  const which = number ?? (await listMigrations(config, pipeline)).find(({ state }) => state === 'waiting')?.number;
  if (which === undefined) throw await noneOf(config, pipeline, `No migration of ${pipeline} waits for a decision.`);
  return withTemporal(config, async (client) => {
    try {
      return await client.workflow.getHandle(migrationWorkflowId(pipeline, which)).executeUpdate<MigrationStatus, []>(decision);
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError) throw new BadInput(error.cause?.message ?? error.message, { cause: error });
      if (error instanceof WorkflowNotFoundError) throw await noneOf(config, pipeline, await goneText(config, pipeline, which), error);
      throw error;
    }
  });
}

/** They go with what was loaded. */
async function noneOf(config: Config, pipeline: string, sentence: string, cause?: Error): Promise<BadInput> {
  return new BadInput((await isLoaded(config, pipeline)) ? `${sentence} See: ./sluice migrations ${pipeline}` : withoutMigrations(pipeline), { cause });
}

/** Its load has begun at least. */
export async function isLoaded(config: Config, pipeline: string): Promise<boolean> {
  const { rowCount } = await withState(config, (client) => client.query('select from sluice.shard where pipeline = $1', [pipeline]));
  return rowCount !== 0;
}

export function withoutMigrations(pipeline: string): string {
  return unloadedText(pipeline, 'it has no migrations');
}

/** Of one whose workflow does not run. */
async function goneText(config: Config, pipeline: string, number: number): Promise<string> {
  const { rows: [found] } = await withState(config, (client) => client.query<Pick<Row, 'state' | 'decision'>>('select state, decision from sluice.schema_change where pipeline = $1 and number = $2', [pipeline, number]));
  if (!found) return `${pipeline} has no migration ${number}.`;
  if (!isOver(found.state)) return `Somebody has ended the workflow of migration ${number} of ${pipeline}. To be asked again: ./sluice resume ${pipeline} --lane capture.`;
  return `Migration ${number} of ${pipeline} is ${found.state}${found.decision === null ? '' : ` (${found.decision})`}, and only one that waits can be decided.`;
}

/** It did not come to its end, which it would have put on record. */
function isCutOff({ status: { name } }: WorkflowExecutionDescription): boolean {
  return name !== 'RUNNING' && name !== 'COMPLETED';
}

async function withState<T>(config: Config, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: config.stateUrl, application_name: 'sluice migrations', connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const mostListed = 20;
