import { expect, test } from 'vitest';
import type { State } from '../connectors/postgres/state/state.ts';
import { position } from '../core/position.ts';
import { Progress } from './progress.ts';

test('I1: where a sink says it is counts until its lane says something else', async () => {
  const at = (lsn: number) => position(1, BigInt(lsn), 0);
  const table = new Map<string, string>();
  const state = {
    query: async (written: { values: [string[], string[], string[]] } | string) => {
      const [pipelines, parts, details] = typeof written === 'string' ? [[], [], []] : written.values;
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
    await progress.asked('p', new Map([['lane', at(350)]]));
    expect(fence()).toBe(at(350));
    await progress.write();
    expect(fence()).toBe(at(350));
    // a process that has just begun has not read yet what was told
    const other = new Progress(state);
    try {
      const seenThere = () => other.fences('p', ['lane', 'live']);
      other.part('p', 'capture').active = true;
      await other.asked('p', new Map([['lane', at(350)], ['live', undefined]]));
      table.set('p/live', at(700));
      await other.asked('p', new Map([['live', undefined]]));
      await other.write();
      expect([...seenThere().values()]).toEqual([at(350), undefined]);
      table.set('p/live', at(340));
      other.part('p', 'capture').moved(at(800), 1, undefined);
      await other.write();
      expect([...seenThere().values()]).toEqual([at(350), at(340)]);
    } finally {
      table.delete('p/live');
      await other.close();
    }
    Object.assign(lane, { active: true });
    lane.moved(at(360), 1, undefined);
    expect(fence()).toBe(at(360));
  } finally {
    await progress.close();
  }
});
