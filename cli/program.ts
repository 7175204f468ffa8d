import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from '../infra/supervisor/checkout.ts';

/**
 * Runs a program of its own (bench/) to its end, on our terminal, and returns its exit code. Ctrl-C and SIGTERM are for
 * it to answer.
 */
export async function runProgram(entry: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(checkout, entry), ...args], {
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
