import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { globSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

const web = join(import.meta.dirname, '../web');
export const distFolder = join(web, 'dist');

/** Builds the dashboard if it is missing or older than its sources. In a process of its own: a bundler stays large. */
export async function buildDashboard(log: Logger): Promise<void> {
  if (await isFresh()) return;
  const startedAt = performance.now();
  // beside the old one, then in its place: two APIs may build at once, and a build may be killed
  const fresh = `${distFolder}.${randomUUID()}`;
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js');
  try {
    const args = [vite, 'build', '--outDir', fresh, '--logLevel', 'warn'];
    await promisify(execFile)(process.execPath, args, { cwd: web, env: { ...process.env, NODE_ENV: 'production' } });
    if (await isFresh()) return;
    await rm(distFolder, { recursive: true, force: true });
    await rename(fresh, distFolder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  log.info({ ms: Math.round(performance.now() - startedAt) }, 'the dashboard was built');
}

async function isFresh(): Promise<boolean> {
  const built = await stat(join(distFolder, 'index.html')).catch(() => undefined);
  return built !== undefined && built.mtimeMs >= newestSourceMs();
}

function newestSourceMs(): number {
  const sources = globSync(['*', 'src/**', 'public/**', '../package-lock.json'], { cwd: web });
  const times = sources.filter((path) => !path.startsWith('dist')).map((path) => statSync(join(web, path)));
  return Math.max(...times.filter((each) => each.isFile()).map((each) => each.mtimeMs));
}
