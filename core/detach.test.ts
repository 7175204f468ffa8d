import { describe, expect, test } from 'vitest';
import { resolve } from './define/resolve.ts';
import engagement from '../pipelines/engagement.ts';
import { lanesToDetach } from './detach.ts';
import { position, type Position } from './position.ts';

const { sinks } = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1/', SLUICE_EXTERNAL_SECRET: 'whsec_AAAA' });
const pipeline = { sinks: { ...sinks, enriched: { ...sinks['enriched']!, onBudget: 'detach' }, live: { ...sinks['live']!, onBudget: 'detach' } } as typeof sinks };
const at = (lsn: number) => position(1, BigInt(lsn), 0);
/** A spool of 100 bytes, from 100 to 200. */
const bytesAfter = (place: Position) => 200 - Number(BigInt(`0x${place.slice(8, 24)}`));

describe('E20: at the budget', () => {
  test.each<readonly [string, Record<string, number | undefined>, readonly string[]]>([
    ['the lane that all of it is kept for goes', { aggregate: 199, enriched: 100, live: 198, external: 199 }, ['enriched']],
    ['so do two that it is kept for', { aggregate: 199, enriched: 100, live: 101, external: 199 }, ['enriched', 'live']],
    ['none goes that holds up little', { aggregate: 160, enriched: 150, live: 155, external: 170 }, []],
    ['none goes when one that may not is as far behind', { aggregate: 199, enriched: 100, live: 199, external: 101 }, []],
    ['none that may not', { aggregate: 199, enriched: 199, live: 199, external: 100 }, []],
    ['one of which nobody knows where it is, for nothing is trimmed', { aggregate: 199, enriched: undefined, live: 199, external: 199 }, ['enriched']],
    ['none while another is not known', { aggregate: undefined, enriched: 100, live: 199, external: 199 }, []],
  ])('%s', (_, fences, wanted) => {
    expect(lanesToDetach(pipeline, new Map(Object.entries(fences).map(([lane, lsn]) => [lane, lsn === undefined ? undefined : at(lsn)])), 100, bytesAfter)).toEqual(wanted);
  });

  test('without any that may go, none goes', () => {
    expect(lanesToDetach({ sinks }, new Map([['aggregate', at(199)], ['enriched', at(100)]]), 100, bytesAfter)).toEqual([]);
  });
});
