import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { globSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

/**
 * The workflows as one file, which the worker loads into its sandbox. Webpack needs seconds for it, so it is kept under
 * the hash of everything that goes into it.
 */
export async function workflowBundle(directory: string): Promise<{ codePath: string }> {
  const codePath = join(directory, `workflows-${await sourceHash()}.cjs`);
  if (await exists(codePath)) return { codePath };
  await mkdir(directory, { recursive: true });
  // of other sources; another worker may be at work on this one
  for (const old of globSync('workflows-*', { cwd: directory })) if (!codePath.endsWith(old) && !old.startsWith(`${basename(codePath)}.`)) await rm(join(directory, old), { force: true });
  const temporary = `${codePath}.${randomUUID()}`;
  await run(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'bundle-workflows.ts'), temporary]);
  await rename(temporary, codePath);
  return { codePath };
}

/** Workflows import the core, and activities as types only. */
async function sourceHash(): Promise<string> {
  const hash = createHash('sha256');
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  hash.update(version);
  const files = globSync('{workflows,core}/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  for (const file of files.sort()) hash.update(`\0${file}\0`).update(await readFile(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
