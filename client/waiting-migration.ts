import type { Client } from '@temporalio/client';
import { migrationWorkflowId } from '../core/migration/schema-change.ts';
import type { WorkflowStatus } from '../workflows/messages.ts';
import type { MigrationStatus } from '../workflows/migration.ts';

/** A pipeline's workflow knows of a migration only that it is not over; whether somebody is waited for, the migration says. */
export async function toldWhatWaits(client: Client, status: WorkflowStatus): Promise<WorkflowStatus> {
  const number = migrationOf(status);
  if (number === undefined) return status;
  const migration = await client.workflow.getHandle(migrationWorkflowId(status.name, number)).query<MigrationStatus>('status').catch(() => undefined);
  return migration?.state === 'waiting' ? waitingFor(status, number) : status;
}

/** The one that a capture stands at. */
export function migrationOf({ capture: { error } }: Pick<WorkflowStatus, 'capture'>): number | undefined {
  const found = /^migration (\d+) of its source's columns is not over: /.exec(error ?? '');
  return found ? Number(found[1]) : undefined;
}

export function waitingFor(status: WorkflowStatus, number: number): WorkflowStatus {
  return { ...status, capture: { ...status.capture, error: `migration ${number} of its source's columns waits for your decision: ./sluice migrations ${status.name}` } };
}
