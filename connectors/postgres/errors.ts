import { DatabaseError } from 'pg';
import { PoisonError } from '../poison-error.ts';
import { ConfigurationError } from '../sink.ts';
import { TransientError, isNetworkError } from '../transient-error.ts';

/** SQLSTATEs that only a person can mend, with what to type next. https://www.postgresql.org/docs/18/errcodes-appendix.html */
const configuration: Readonly<Record<string, string>> = {
  '28000': 'Check the user in the URL, and pg_hba.conf.',
  '28P01': 'Set the URL with the right password.',
  '3D000': 'Type: CREATE DATABASE, with that name, or correct the URL.',
  '3F000': 'The schema is missing. ./sluice up makes it again.',
  '42501': 'Type: GRANT, with that privilege, to the user in the URL.',
  '42P01': 'The table was dropped or renamed. ./sluice up makes it again.',
  '42703': 'The table has other columns than the pipeline: a destination that somebody changed, which is to get them back or to be dropped (./sluice up makes it again); or one of the source, whose migration is not over (./sluice migrations).',
  '42804': 'A column of the table has another type than the pipeline. Compare its definition.',
  '42P10': 'The table has another primary key than the pipeline. Compare its definition.',
  '22003': "A sum is beyond 64 bits: no single row is to blame. Give the measure a smaller scale, or filter out the rows that are that large.",
  '25006': 'The server is read-only. Point the URL at the primary.',
};

/** SQLSTATEs that some row's content has brought about. */
const poison: ReadonlySet<string> = new Set([
  '54000', // program_limit_exceeded: a key that is too long for its index
]);

/** SQLSTATEs, or their classes, that pass by themselves. */
const transient: ReadonlySet<string> = new Set([
  '08000', // connection_exception
  '08001', // sqlclient_unable_to_establish_sqlconnection
  '08003', // connection_does_not_exist
  '08004', // sqlserver_rejected_establishment_of_sqlconnection
  '08006', // connection_failure
  '53', // insufficient resources: too many connections, out of memory, disk full
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '57014', // query_canceled: statement_timeout
  '25P03', // idle_in_transaction_session_timeout
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '58', // system errors: I/O
]);

/** Runs `work` and throws what a lane understands; an error that is in neither list is passed on as it is. */
export async function classified<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw classifyPostgresError(what, error);
  }
}

/** `what` names the database's part in the work, as a person would: 'state database'. */
export function classifyPostgresError(what: string, error: unknown): unknown {
  if (error instanceof TransientError) return error; // of another store that was asked meanwhile
  if (error instanceof DatabaseError) {
    const code = error.code ?? '';
    const sentence = `Postgres, ${what}: ${error.message} (${code})`;
    const next = configuration[code];
    if (poison.has(code)) return new PoisonError(`Postgres, ${what}: it refuses a value (${code})`, error.message);
    if (next !== undefined) return new ConfigurationError(`${sentence}. ${next}`, { cause: error });
    if (transient.has(code) || transient.has(code.slice(0, 2))) return new TransientError(sentence, { cause: error });
    return error;
  }
  if (error instanceof Error && noPassword.test(error.message)) return new ConfigurationError(`Postgres, ${what}: the server asks for a password, and the URL has none. Write it as postgres://user:password@host:5432/database.`, { cause: error });
  const isTransient = isNetworkError(error) || isUnanswered(error) || (error instanceof Error && lostConnection.test(error.message));
  return isTransient ? new TransientError(`Postgres, ${what}: ${(error as Error).message}`, { cause: error }) : error;
}

const noPassword = /client password must be a (?:non-empty )?string/;

/** The time for an answer is over; whether the statement was done is not known, and nothing can follow it on its connection. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout';
}

/** What node-postgres says, without a code, when a connection ends. */
const lostConnection = /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|timeout expired)/;
