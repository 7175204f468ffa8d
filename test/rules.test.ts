import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plantedBugs } from './simulation/planted/bugs.ts';

const root = join(import.meta.dirname, '..');
const titles = globSync('**/*.test.ts', { cwd: root, exclude: (name) => name === 'node_modules' || name === '.sluice' })
  .flatMap((file) => readFileSync(join(root, file), 'utf8').match(/\b(?:test|describe)(?:\.\w+)*(?:\([^'"`]*\))?\(\s*(['"`]).*?\1/gs) ?? []);
const named = (rule: string) => new RegExp(String.raw`\b${rule}\b`);

/** Of the rules of exactness, those whose mechanism exists: somebody who breaks one is told by a test that has its name. */
test.each(['E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E7', 'E8', 'E10', 'E11', 'E12', 'E13', 'E14', 'E16', 'E17', 'E18', 'E19', 'E20', 'E21', 'E22', 'E23', 'E25', 'E26', 'E28'])('%s has a test of its name', (rule) => {
  expect(titles.filter((title) => named(rule).test(title))).not.toEqual([]);
});

test.each(['E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E8', 'E10', 'E12', 'E13', 'E14', 'E16', 'E17', 'E18'])('%s, which decides, is broken by a planted bug', (rule) => {
  // in the product's own text, not only in what the simulation has in place of a server (as is E11, of which Redis decides: test/sinks/redis-live.test.ts)
  expect(plantedBugs.filter((bug) => named(rule).test(bug.rule) && bug.edits.some(({ file }) => !file.startsWith('test/')))).not.toEqual([]);
});
