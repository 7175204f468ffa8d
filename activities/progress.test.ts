import { expect, test } from 'vitest';
import type { State } from '../connectors/postgres/state/state.ts';
import { position } from '../core/position.ts';
import { Progress } from './progress.ts';

test('I1: where a sink says it is counts until its lane says something else', async () => {
  const at = (lsn: number) => position(1, BigInt(lsn), 0);
  const table = new Map<string, string>();
  const state = {
    query: async ({ values: [pipelines, parts, details] }: { values: [string[], string[], string[]] }) => {
      for (const [index, part] of parts.entries()) table.set(`${pipelines[index]}/${part}`, (JSON.parse(details[index]!) as { fence: string }).fence);
      return { rows: [...table].map(([key, fence]) => ({ pipeline: key.split('/')[0], part: key.split('/')[1], fence })) };
    },
  } as unknown as State;
  const progress = new Progress(state);
  try {
    const fence = () => progress.fences('p', ['lane']).get('lane');
    expect(fence()).toBeUndefined();
    const lane = progress.part('p', 'lane');
    Object.assign(lane, { active: true });
    lane.moved(at(500), 1, undefined);
    await progress.write();
    Object.assign(lane, { active: false });
    expect(fence()).toBe(at(500));
    // its destination was set back while it stood
    progress.asked('p', new Map([['lane', at(350)]]));
    expect(fence()).toBe(at(350));
    await progress.write();
    expect(fence()).toBe(at(350));
    progress.asked('p', new Map([['lane', undefined]]));
    expect(fence()).toBe(at(350));
    Object.assign(lane, { active: true });
    lane.moved(at(360), 1, undefined);
    expect(fence()).toBe(at(360));
  } finally {
    await progress.close();
  }
});
