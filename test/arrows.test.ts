import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * Which folder may import which (design, section 4), besides itself. `type:` allows `import type` only. Tests may import
 * anything: they stand at no end of an arrow.
 */
const arrows: Record<string, readonly string[]> = {
  core: [],
  connectors: ['core'],
  pipelines: ['core'],
  workflows: ['core', 'type:activities'],
  activities: ['core', 'connectors', 'pipelines'],
  workers: ['core', 'connectors', 'activities', 'workflows', 'pipelines'],
  client: ['core', 'pipelines', 'type:workflows', 'type:activities'],
  api: ['core', 'client'],
  infra: ['core', 'client'],
  doctor: ['core', 'connectors', 'client', 'pipelines'],
  init: ['core', 'connectors'],
  cli: ['core', 'client', 'infra'],
  bench: ['core', 'connectors', 'client', 'infra', 'pipelines'],
  chaos: ['core', 'connectors', 'client', 'infra', 'pipelines', 'bench'],
  web: [],
};

const root = join(import.meta.dirname, '..');

describe('imports follow the arrows of the design', () => {
  const files = globSync(`{${Object.keys(arrows).join(',')}}/**/*.{ts,tsx}`, { cwd: root }).filter(
    (file) => !/\.test\.tsx?$/.test(file) && !file.includes('node_modules') && !file.startsWith('web/dist/'),
  );

  test.each(Object.keys(arrows))('%s', (folder) => {
    const own = files.filter((file) => file.startsWith(`${folder}/`));
    expect(own.flatMap((file) => violations(file, readFileSync(join(root, file), 'utf8')))).toEqual([]);
  });

  test('the core does no I/O', () => {
    const io = /from '(node:(?!assert|crypto|util)[^']+|pg|ioredis|@clickhouse\/[^']+|@temporalio\/[^']+)'/;
    const guilty = files.filter((file) => file.startsWith('core/') && io.test(readFileSync(join(root, file), 'utf8')));
    expect(guilty).toEqual([]);
  });
});

describe('the rule itself', () => {
  test.each([
    ['core/a.ts', `import { read } from '../connectors/postgres/read.ts';`],
    ['core/a.ts', `export * from '../client/a.ts';`],
    ['api/a.ts', `const x = await import('../connectors/b.ts');`],
    ['workflows/a.ts', `import { step } from '../activities/step.ts';`],
    ['workflows/a.ts', `import {\n  step,\n  type Other,\n} from '../activities/step.ts';`],
    ['web/a.tsx', `import '../core/position.ts';`],
    ['connectors/redis/a.ts', `import type { Sink } from '../../activities/a.ts';`],
  ])('finds %s: %s', (file, source) => {
    expect(violations(file, source)).toHaveLength(1);
  });

  test.each([
    ['connectors/redis/a.ts', `import { Position } from '../../core/position.ts';\nimport { b } from './b.ts';`],
    ['workflows/a.ts', `import type { Steps } from '../activities/step.ts';`],
    ['core/a.ts', `// it is like '../connectors/x.ts'\nimport { z } from 'zod';`],
  ])('allows %s: %s', (file, source) => {
    expect(violations(file, source)).toEqual([]);
  });
});

function violations(file: string, source: string): string[] {
  const folder = file.split('/')[0]!;
  const found: string[] = [];
  const imports =
    /^\s*(?:import|export)\b(?<clause>[^;'"]*?)(?:from\s*)?['"](?<path>\.[^'"]+)['"]|\bimport\(\s*['"](?<late>\.[^'"]+)['"]/gm;
  for (const { groups } of source.matchAll(imports)) {
    const target = normalize(join(dirname(file), (groups!['path'] ?? groups!['late'])!)).split('/')[0]!;
    const allowed = arrows[folder] ?? [];
    const typeOnly = /^\s*type\b/.test(groups!['clause'] ?? '');
    if (target === folder || allowed.includes(target) || (typeOnly && allowed.includes(`type:${target}`))) continue;
    if (!(target in arrows)) continue; // package.json and the like
    const may =
      allowed.length > 0 ? allowed.map((each) => each.replace('type:', 'types of ')).join(', ') : 'nothing else';
    found.push(`${file} imports ${groups!['path'] ?? groups!['late']}: ${folder} may import ${may}`);
  }
  return found;
}
