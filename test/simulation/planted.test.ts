import { describe, expect, test } from 'vitest';
import { child } from './child.ts';
import { plantedBugs } from './planted/bugs.ts';

const most = 3_000;

/** That the simulation can fail: each of these is a change of the product's own text, and some schedule shows it. */
describe('planted bugs', { timeout: 240_000 }, () => {
  test.concurrent.each(plantedBugs)('$rule: $name', async ({ name }) => {
    const { code, output } = await child('planted/hunt.ts', [String(most)], { planted: name });
    expect(output).toMatch(/"found"/);
    expect(code).toBe(0);
  });
});
