import { expect, test } from 'vitest';
import { SpoolTooShort, type SegmentLog } from '../connectors/spool/segment-log.ts';
import { resolve } from '../core/define/resolve.ts';
import { position, type Position } from '../core/position.ts';
import engagement from '../pipelines/engagement.ts';
import { lookAtLanes } from './lost-lanes.ts';

const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_c2VjcmV0' });
const at = (lsn: number) => position(1, BigInt(lsn), 0);

/** Every lane is at 100, which is where the spool begins; `enriched` as it says. `look`: what happens when the spool is asked for that lane. */
function looking({ enriched, look, detached = () => [] }: { enriched: () => Promise<Position | undefined>; look: (fence: Position) => void; detached?: () => readonly string[] }) {
  let begins = at(100);
  const log = {
    tail: async () => undefined,
    release: () => {},
    read: async (fence: Position) => {
      look(fence);
      if (fence < begins) throw new SpoolTooShort(pipeline.name, fence, begins);
      return [];
    },
  };
  const query = async (asked: string | { text: string }) => ({ rows: (typeof asked === 'string' ? asked : asked.text).includes('detached_lane') ? detached().map((lane) => ({ lane, fence: null, detached_at: new Date(0) })) : [] });
  const runtime = {
    state: { query } as never,
    definition: async () => ({ pipeline, shape: { number: 0, columns: {} } }) as never,
    log: async () => log as unknown as SegmentLog as never,
    destinations: { readFence: async (_: unknown, lane: string) => (lane === 'enriched' ? enriched() : at(100)) } as never,
  };
  return { lacks: async () => (await lookAtLanes(runtime, pipeline.name)).filter(({ lack }) => lack !== undefined).map(({ lane, fence }) => [lane, fence]), forgets: (upTo: Position) => void (begins = upTo) };
}

test('a destination that is behind what the spool still has, or has no fence, lacks something', async () => {
  expect(await looking({ enriched: async () => at(90), look: () => {} }).lacks()).toEqual([['enriched', at(90)]]);
  expect(await looking({ enriched: async () => undefined, look: () => {} }).lacks()).toEqual([['enriched', undefined]]);
  expect(await looking({ enriched: async () => at(100), look: () => {} }).lacks()).toEqual([]);
});

test('one whose lane goes on while it is looked at, and for which the spool forgets what it has got, lacks nothing', async () => {
  let fence = at(100);
  const { lacks, forgets } = looking({
    enriched: async () => fence,
    look: (asked) => {
      // of all that read from here, the slowest
      if (asked === at(100)) forgets((fence = at(120)));
    },
  });
  expect((await lacks()).filter(([lane]) => lane === 'enriched')).toEqual([]);
});

test('E20: one that is let go while it is looked at is for apply to fill', async () => {
  let detached: readonly string[] = [];
  const { lacks } = looking({ enriched: async () => at(90), look: (asked) => void (asked === at(90) && (detached = ['enriched'])), detached: () => detached });
  expect(await lacks()).toEqual([]);
});
