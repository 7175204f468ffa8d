import { type ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../connectors/sink.ts';
import { BrokenChain } from '../connectors/spool/segment-chain.ts';
import { SpoolTooShort } from '../connectors/spool/segment-log.ts';
import { TransientError } from '../connectors/transient-error.ts';
import { position } from '../core/position.ts';
import { CorruptSegment } from '../core/segment-file.ts';
import { failureOf } from './failures.ts';

const sqlError = (code: string) => Object.assign(new Error('x'), { code, severity: 'ERROR' });
const fetchFailed = new TypeError('fetch failed', { cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }) });

describe('what Temporal is told of an error', () => {
  test.each([
    ['configuration', new ConfigurationError('set the password'), 'ConfigurationError', true],
    ['a spool that was trimmed too far', new SpoolTooShort('trending', position(1, 1n, 0), position(1, 9n, 0)), 'ConfigurationError', true],
    ['a programming error', new TypeError('x is undefined'), 'Bug', true],
    ['a broken chain', new BrokenChain('two captures'), 'ConfigurationError', true],
    ['a segment that is not what was written', new CorruptSegment('its checksum does not match'), 'ConfigurationError', true],
    ['wrong SQL', sqlError('42601'), 'Bug', true],
    ['what may pass', new TransientError('Redis is loading'), 'TransientError', false],
  ])('%s', (_, error, type, nonRetryable) => {
    const failure = failureOf(error) as ApplicationFailure;
    expect([failure.type, failure.nonRetryable ?? false]).toEqual([type, nonRetryable]);
    expect(failure.message).toContain(error.message);
    expect(failure.cause).toBe(error);
  });

  test.each([['a network error, though it is a TypeError', fetchFailed], ['any other error', new Error('odd')], ['a serialization failure', sqlError('40001')]])('%s is tried again as it is', (_, error) => {
    expect(failureOf(error)).toBe(error);
  });

  test("a bug is told with the place in our own code where it showed", () => {
    const error = new TypeError('x is undefined');
    error.stack = 'TypeError: x is undefined\n    at node:internal/timers:1\n    at Client.query (/there/node_modules/pg/lib/client.js:1)\n    at readPanes (/there/activities/repair.ts:7:1)';
    expect(failureOf(error).message).toBe('TypeError: x is undefined (at readPanes (/there/activities/repair.ts:7:1))');
  });

  test('a sink that asks for patience is tried again after it', () => {
    expect((failureOf(new TransientError('429', { retryAfterMs: 7_000 })) as ApplicationFailure).nextRetryDelay).toBe(7_000);
  });

  test('what is a failure already stays so', () => {
    const cancelled = new CancelledFailure('x');
    expect(failureOf(cancelled)).toBe(cancelled);
  });
});
