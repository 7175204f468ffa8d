import { expect, test } from 'vitest';
import { insertsSaid } from './load.ts';

const line = (inserts: string, end = '') => `engagement   700/s (${inserts} inserts, 1 of them late, 2 updates, 3 deletes, 0 renames)${end}`;
const all = ': all in 5.0 s, asked for 700/s';

test.each([
  ['nothing was said', [], 0],
  ['it ended before its first report', [line('1,200', all)], 1_200],
  ['what was reported is in the end once', [line('1,000'), line('1,000'), line('2,300', all)], 2_300],
  ['one was killed: its reports count', [line('1,000'), line('1,000')], 2_000],
  ['one ended, the next was killed', [line('2,300', all), line('1,000')], 3_300],
  ['one was killed, the next ended: at least what was reported', [line('1,000'), line('1,000'), line('1,000', all)], 2_000],
] as const)('inserts of a load: %s', (_, lines, inserts) => {
  expect(insertsSaid(lines)).toBe(inserts);
});
