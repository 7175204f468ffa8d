import { Client } from 'pg';

/** Connects, or says in a sentence why not. */
export async function connectSource(url: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: 'sluice load', connectionTimeoutMillis: 10_000, keepAlive: true });
  // a connection that breaks fails the next query; without a listener it would end the process without a sentence
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw new LoadFailed(`PostgreSQL at ${host(url)} cannot be reached: ${reason(error)}. See whether it runs with: ./sluice status`, error);
  }
}

export class LoadFailed extends Error {
  override readonly name = 'LoadFailed';
  constructor(sentence: string, cause: unknown) {
    super(sentence, { cause });
  }
}

/** What another session can do to ours, after which one simply goes on; a foreign key: what was referred to is gone. */
export function isPassing(error: unknown): error is { code: string } {
  return passing.has((error as { code?: string }).code ?? '');
}

export const foreignKeyViolation = '23503';
const passing = new Set([foreignKeyViolation, '40001', '40P01', '55P03', '57014']);

export function explained(error: unknown, url: string): LoadFailed {
  if (error instanceof LoadFailed) return error;
  const { code } = error as { code?: string };
  if (code === '42703') return new LoadFailed(`A column of the sample pipelines' tables in ${host(url)} was renamed or dropped: ${reason(error)}. The load writes the columns that infra/demo/source.sql makes: rename it back, or add it again. The load of ./sluice up goes on by itself then; any other, when it is typed again`, error);
  if (code === '42P01') return new LoadFailed(`The tables of the sample pipelines are not in ${host(url)}: ${reason(error)}. ./sluice up makes them in a database of its own; in yours, run infra/demo/source.sql`, error);
  return new LoadFailed(`Writing to PostgreSQL at ${host(url)} failed: ${reason(error)}`, error);
}

function host(url: string): string {
  return `${new URL(url).host}${new URL(url).pathname}`;
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
