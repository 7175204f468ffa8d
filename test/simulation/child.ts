import { execFile } from 'node:child_process';
import { join } from 'node:path';

/** Runs a program of this folder in a process of its own; answers with how it ended, and never throws. */
export function child(program: string, args: readonly string[], { planted }: { readonly planted?: string } = {}): Promise<{ readonly code: number; readonly output: string }> {
  const plant = planted === undefined ? [] : ['--import', join(import.meta.dirname, 'planted', 'plant.ts')];
  const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=32', ...plant, join(import.meta.dirname, program), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, flags, { env: { ...process.env, ...(planted !== undefined && { SLUICE_PLANTED: planted }) }, maxBuffer: 16 << 20, timeout: 580_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, output: stdout + stderr });
    });
  });
}
