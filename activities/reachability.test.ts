import { afterEach, describe, expect, test, vi } from 'vitest';
import { Reachability } from './reachability.ts';

describe('E25: whether Temporal can be reached', () => {
  let away = false;
  const probe = async () => {
    if (away) throw new Error('no answer');
  };
  const opened: Reachability[] = [];
  const open = () => {
    away = false;
    const reachability = new Reachability(probe, 1_000_000);
    opened.push(reachability);
    return reachability;
  };
  afterEach(() => opened.splice(0).forEach((each) => each.stop()));

  test('is asked at the moment that matters, not remembered', async () => {
    const reachability = open();
    await reachability.untilReachable();
    away = true;
    let waited = false;
    const waiting = reachability.untilReachable().then(() => (waited = true));
    await vi.waitFor(() => expect(reachability.reachable).toBe(false));
    expect(waited).toBe(false);
    away = false;
    await reachability.untilReachable();
    await waiting;
    expect(reachability.reachable).toBe(true);
  });

  test('a process that ends waits for nobody', async () => {
    const reachability = open();
    away = true;
    const waiting = reachability.untilReachable();
    await vi.waitFor(() => expect(reachability.reachable).toBe(false));
    reachability.stop();
    await waiting;
  });
});
