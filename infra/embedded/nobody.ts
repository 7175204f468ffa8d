import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readlink, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { User } from './service.ts';

/** PostgreSQL refuses to run as root: root runs it as `nobody`. Undefined for everybody else. */
export function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/**
 * The folder itself, or, when root runs in a checkout that `nobody` cannot look into (a home directory of mode 0700), a
 * folder under /var/lib that stands for it. The folder is then a link to it, so one finds it from the data directory.
 */
export async function folderForNobody(folder: string): Promise<string> {
  const path = resolve(folder);
  if (process.getuid?.() !== 0 || (await everybodyReaches(path))) {
    await mkdir(path, { recursive: true });
    if (process.getuid?.() === 0) await chmod(path, 0o755);
    return path;
  }
  const elsewhere = join('/var/lib', `sluice-${createHash('sha256').update(path).digest('hex').slice(0, 12)}`);
  const target = await readlink(path).catch(() => undefined);
  if (target !== elsewhere) {
    // The link is gone, so what lies there belongs to a data directory that was removed.
    await rm(elsewhere, { recursive: true, force: true });
    await rm(path, { recursive: true, force: true });
    await mkdir(dirname(path), { recursive: true });
    await symlink(elsewhere, path);
  }
  await mkdir(elsewhere, { recursive: true });
  await chmod(elsewhere, 0o755);
  return elsewhere;
}

async function everybodyReaches(path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(folder) && ((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
