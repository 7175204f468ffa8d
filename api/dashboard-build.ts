import { execFile } from 'node:child_process';
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
  const built = await stat(join(distFolder, 'index.html')).catch(() => undefined);
  if (built && built.mtimeMs >= newestSourceMs()) return;
  const startedAt = performance.now();
  // beside the old one, then in its place: two APIs may build at once, and a build may be killed
  const fresh = `${distFolder}.${process.pid}`;
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js');
  try {
    await promisify(execFile)(process.execPath, [vite, 'build', '--outDir', fresh, '--logLevel', 'warn'], { cwd: web });
    await rm(distFolder, { recursive: true, force: true });
    await rename(fresh, distFolder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  log.info({ ms: Math.round(performance.now() - startedAt) }, 'the dashboard was built');
}

function newestSourceMs(): number {
  const sources = globSync(['*', 'src/**', 'public/**', '../package-lock.json'], { cwd: web });
  const times = sources.filter((path) => !path.startsWith('dist')).map((path) => statSync(join(web, path)));
  return Math.max(...times.filter((each) => each.isFile()).map((each) => each.mtimeMs));
}
