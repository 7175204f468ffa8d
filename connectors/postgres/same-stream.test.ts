import { describe, expect, test } from 'vitest';
import { position } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { TransientError } from '../transient-error.ts';
import { assertNoneAhead } from './same-stream.ts';

describe('E1: a sink that is ahead of the source', () => {
  const at = (epoch: number, lsn: number) => position(epoch, BigInt(lsn), 1);
  const check = (fence: ReturnType<typeof at> | undefined) => assertNoneAhead('p', new Map([['a', at(2, 10)], ['b', fence]]), at(2, 60));

  test.each([[undefined], [at(2, 60)], [at(1, 900)]])('%s is not', (fence) => expect(() => check(fence)).not.toThrow());

  test('of one load parks: the source was set back', () => {
    expect(() => check(at(2, 61))).toThrow(ConfigurationError);
    expect(() => check(at(2, 61))).toThrow(/was set back: lane b is at position/);
  });

  test('of a later load is looked at again', () => expect(() => check(at(3, 1))).toThrow(TransientError));
});
