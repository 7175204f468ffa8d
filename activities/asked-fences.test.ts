import { describe, expect, test } from 'vitest';
import { position } from '../core/position.ts';
import { AskedFences } from './asked-fences.ts';

const at = (lsn: number) => position(1, BigInt(lsn), 0);

describe('what a sink has said of itself', () => {
  test.each([
    ['counts instead of what was told', at(50), at(90), at(90), at(50)],
    ['no longer counts when its lane tells something else', at(50), at(90), at(60), at(60)],
    ['counts where nothing was told', at(50), undefined, undefined, at(50)],
    ['makes what was told count for nothing', undefined, at(90), at(90), undefined],
    // it may lose again what its lane has not told yet, and then its lane tells what it told before
    ['never lets believe more than what is told', at(100), at(90), at(90), at(90)],
  ])('%s', (_, said, told, toldNow, fence) => {
    const fences = new AskedFences();
    fences.asked('lane', said, told);
    expect(fences.fence('lane', toldNow)).toBe(fence);
    expect(fences.fence('other', toldNow)).toBe(toldNow);
  });
});
