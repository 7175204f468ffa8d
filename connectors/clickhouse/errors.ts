import { ClickHouseError } from '@clickhouse/client';
import { PoisonError } from '../poison-error.ts';
import { ConfigurationError } from '../sink.ts';
import { TransientError, isNetworkError } from '../transient-error.ts';

/** Names in https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp, with what to type next. */
const configuration: Readonly<Record<string, string>> = {
  UNKNOWN_TABLE: "The table was dropped or renamed. ./sluice recover, with the pipeline's name, makes it again and writes its rows.",
  UNKNOWN_DATABASE: 'Type: CREATE DATABASE, with that name, or correct the table in the definition.',
  NO_SUCH_COLUMN_IN_TABLE: 'Type: ALTER TABLE ... ADD COLUMN, with the type that ./sluice status shows.',
  UNKNOWN_IDENTIFIER: 'The table has other columns than the pipeline. Compare DESCRIBE TABLE with the definition.',
  THERE_IS_NO_COLUMN: 'The table has other columns than the pipeline. Compare DESCRIBE TABLE with the definition.',
  TYPE_MISMATCH: 'A column of the table has another type than the pipeline. Compare DESCRIBE TABLE with the definition.',
  CANNOT_CONVERT_TYPE: 'A column of the table has another type than the pipeline. Compare DESCRIBE TABLE with the definition.',
  CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN: 'Type: ALTER TABLE ... MODIFY COLUMN ... Nullable(...).',
  AUTHENTICATION_FAILED: 'Set SLUICE_CLICKHOUSE_URL=http://user:password@host:8123',
  REQUIRED_PASSWORD: 'Set SLUICE_CLICKHOUSE_URL=http://user:password@host:8123',
  WRONG_PASSWORD: 'Set SLUICE_CLICKHOUSE_URL=http://user:password@host:8123',
  UNKNOWN_USER: 'Set SLUICE_CLICKHOUSE_URL=http://user:password@host:8123',
  ACCESS_DENIED: 'The user needs SELECT, INSERT and CREATE TABLE. Type: GRANT ... ON ... TO ...',
  SETTING_CONSTRAINT_VIOLATION: "Lanes say max_threads=1, async_insert=0 and optimize_on_insert=0 with each statement. Allow it in the user's settings profile, or take another user.",
  READONLY: 'The user may only read. Set SLUICE_CLICKHOUSE_URL to one that may write.',
};

const transient = new Set([
  'TOO_MANY_PARTS',
  'MEMORY_LIMIT_EXCEEDED',
  'TIMEOUT_EXCEEDED',
  'SOCKET_TIMEOUT',
  'NETWORK_ERROR',
  'TOO_MANY_SIMULTANEOUS_QUERIES',
  'TABLE_IS_READ_ONLY',
  'KEEPER_EXCEPTION',
  'QUERY_WAS_CANCELLED',
  'NOT_ENOUGH_SPACE',
  'CANNOT_SCHEDULE_TASK',
  'ABORTED',
]);

/** A value that its column does not take, or that breaks a constraint of the table. */
const poison = new Set([
  'ARGUMENT_OUT_OF_BOUND',
  'CANNOT_PARSE_TEXT',
  'CANNOT_PARSE_QUOTED_STRING',
  'CANNOT_PARSE_INPUT_ASSERTION_FAILED',
  'CANNOT_PARSE_BOOL',
  'CANNOT_PARSE_NUMBER',
  'CANNOT_PARSE_DATE',
  'CANNOT_PARSE_DATETIME',
  'CANNOT_PARSE_UUID',
  'CANNOT_PARSE_IPV4',
  'CANNOT_PARSE_IPV6',
  'CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING',
  'DECIMAL_OVERFLOW',
  'INCORRECT_DATA',
  'TOO_LARGE_STRING_SIZE',
  'UNKNOWN_ELEMENT_OF_ENUM',
  'VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE',
  'VIOLATED_CONSTRAINT',
  'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO',
]);

/** Runs `work` and throws what the lane understands; an error that is in neither list is passed on as it is. */
export async function classified<T>(table: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw classify(table, error);
  }
}

function classify(table: string, error: unknown): unknown {
  if (error instanceof TransientError) return error; // of another store that was asked meanwhile
  if (error instanceof ClickHouseError) {
    const type = error.type ?? '';
    const sentence = `ClickHouse, table ${table}: ${error.message.trim()} (${type})`;
    if (poison.has(type)) return new PoisonError(`ClickHouse, table ${table}: it refuses a value (${type})`, error.message.trim());
    const next = configuration[type];
    if (next !== undefined) return new ConfigurationError(`${sentence}. ${next}`, { cause: error });
    if (transient.has(type)) return new TransientError(sentence, { cause: error });
    return error;
  }
  const isTimeout = error instanceof Error && error.message.startsWith('Timeout error');
  if (isNetworkError(error) || isTimeout) {
    return new TransientError(`ClickHouse, table ${table}: ${(error as Error).message}`, { cause: error });
  }
  return error;
}
