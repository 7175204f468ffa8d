import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { position } from '../../core/position.ts';
import type { SegmentHeader } from '../../core/segment.ts';
import { BrokenChain, SegmentChain } from './segment-chain.ts';

const at = (place: number) => position(1, BigInt(place) * 100n, 0);

/** As it comes out of a segment's file: no text is shared with another header. */
function header(seq: number, kind: SegmentHeader['kind'] = 'events'): SegmentHeader {
  return JSON.parse(JSON.stringify({ shard: 'trending', seq, kind, captureId: '6b1f2f5e-3f0c-4c55-9d6b-0b5ff0ed3a0e', from: at(seq), to: at(seq + 1), lastEventLsn: `16b374d${seq}`, endLsn: `0/16B374D${seq}` })) as SegmentHeader;
}
const linkOf = ({ seq, from, to }: SegmentHeader) => ({ seq, from, to });

describe('the chain of segments', () => {
  test('I5: it says of its segments what a list of their headers says', () => {
    const acts = fc.array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom('events' as const, 'claim' as const) }, { weight: 1, arbitrary: fc.nat(6) }), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), acts, (first, list) => {
        const chain = new SegmentChain();
        let headers: SegmentHeader[] = [];
        let seq = first;
        for (const act of list) {
          if (typeof act === 'number') {
            const count = Math.min(act, chain.trimmable(at(first + 20), seq));
            expect(chain.drop(count)).toEqual(headers.slice(0, count).map(linkOf));
            headers = headers.slice(count);
          } else {
            headers.push(header(seq, act));
            chain.push(headers.at(-1)!, 10, seq++);
          }
          expect(chain).toMatchObject({ length: headers.length, tail: headers.at(-1), oldest: headers.slice(0, 1).map(linkOf)[0] });
          for (const kind of ['events', 'claim'] as const) expect(chain.last(kind)).toEqual(headers.findLast((each) => each.kind === kind));
          for (let place = 0; place <= headers.length; place++) {
            expect(chain.from(place, 3)).toEqual(headers.slice(place, place + 3).map(linkOf));
            const after = headers[place]?.from ?? at(seq);
            expect(chain.placeAfter(after)).toBe(place);
            expect(chain.bytesAfter(after)).toBe((headers.length - place) * 10);
          }
        }
      }),
    );
  });

  test('I5: what does not go on where the last one ends is refused', () => {
    const chain = new SegmentChain();
    chain.push(header(4), 0, 0);
    expect(() => chain.push(header(6), 0, 0)).toThrow(BrokenChain);
    expect(() => chain.push({ ...header(5), from: at(4) }, 0, 0)).toThrow(`segment 5 of trending begins at ${at(4)}, and segment 4 ends at ${at(5)}`);
  });

  test('an hour of an idle stream takes a few megabytes', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const chain = new SegmentChain();
    const count = 20_000;
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let seq = 1; seq <= count; seq++) chain.push(header(seq), 1_000, Date.now());
    collect();
    expect((process.memoryUsage().heapUsed - before) / count).toBeLessThan(150);
    expect(chain.length).toBe(count);
  });
});
