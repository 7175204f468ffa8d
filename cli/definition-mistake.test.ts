import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkout } from '../infra/supervisor/checkout.ts';

const folders = ['activities', 'api', 'cli', 'client', 'connectors', 'core', 'infra', 'pipelines', 'workers', 'workflows', 'package.json'];
let base: string;
let copy: string;

/** A checkout of its own, in a folder whose name is another in an address; its trending.ts is edited. */
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'sluice-definitions-'));
  copy = join(base, 'a é');
  for (const folder of folders) await cp(join(checkout, folder), join(copy, folder), { recursive: true });
  await symlink(join(checkout, 'node_modules'), join(copy, 'node_modules'));
});

afterAll(() => rm(base, { recursive: true, force: true }));

function run(program: string, ...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const environment = { ...process.env, SLUICE_DATA: join(base, 'data'), SLUICE_LOG_LEVEL: '', NO_COLOR: '1' };
    execFile(process.execPath, ['--disable-warning=ExperimentalWarning', join(copy, program), ...args], { env: environment }, (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }));
  });
}

async function edit(from: string, to: string): Promise<void> {
  const before = await readFile(join(checkout, 'pipelines/trending.ts'), 'utf8');
  expect(before).toContain(from);
  await writeFile(join(copy, 'pipelines/trending.ts'), before.replace(from, () => to));
}

const mend = 'Mend it there; what else the compiler finds wrong: npm run types\n';

describe('what is wrong in a definition is told with its file and line', () => {
  test.each([
    ['a name that is not imported', ['count() }', 'sum(events.id) }'], ':31: sum is not defined'],
    ['a column that there is not', ['events.post_id', 'events.post'], ':30: events (public.post_views) has no column post; it has id, post_id, viewed_at'],
    ['two measures, and none that ranks', ['count() }', 'count(), more: count() }'], ':29: which measure ranks?'],
    ['what is no TypeScript', ['events.post_id', ','], ':30: Expression expected'],
    ['what Node does not run', ['export default', 'enum A {} export default'], ':16: TypeScript enum is not supported'],
    ['an import of what there is not', ['  count,', '  counted,'], ":3: The requested module '../core/define-pipeline.ts' does not provide an export named 'counted'"],
    ['a name that cannot be', ["name: 'trending'", "name: 'Trending'"], ':16: The definition of pipeline "Trending" cannot be used:\n  pipeline "Trending": a name is a lower-case'],
    ['a file that there is not', ['../core/define-pipeline.ts', '../core/defined-pipeline.ts'], ': Cannot find module'],
  ] as const)('%s', async (_, [from, to], said) => {
    await edit(from, to);
    const { code, output } = await run('cli/main.ts', 'pause', 'engagement');
    const told = `pipelines/trending.ts${said}`;
    expect([code, output.slice(0, told.length), output.slice(-mend.length)]).toEqual([2, told, mend]);
  });

  test('of what V8 refuses, Node tells no line', async () => {
    await edit('export default', 'const a = 1; const a = 2; export default');
    expect(await run('cli/main.ts', 'verify', 'engagement')).toEqual({ code: 2, output: `A file in pipelines/: Identifier 'a' has already been declared\n${mend}` });
  });

  test('by every command that loads it, by the worker and by the API; what loads none goes on', { timeout: 60_000 }, async () => {
    await edit('count() }', 'sum(events.id) }');
    const output = `pipelines/trending.ts:31: sum is not defined\n${mend}`;
    for (const command of ['up', 'init', '--help']) expect({ command, ...(await run('cli/main.ts', command)) }).toEqual({ command, code: 2, output });
    expect(await run('api/main.ts')).toEqual({ code: 1, output });
    const { code, output: log } = await run('workers/main.ts');
    expect([code, JSON.parse(log)]).toEqual([1, expect.objectContaining({ level: 60, msg: output.trimEnd() })]);
    expect(await run('cli/main.ts', 'down')).toEqual({ code: 0, output: expect.stringContaining('Nothing is running') as string });
  });
});
