import { resolve } from 'node:path';
import type { Config } from '../core/config.ts';
import { defaultDataDir } from '../infra/supervisor/checkout.ts';
import { configOf } from '../infra/supervisor/instance.ts';

/** The option by which every command finds its instance. */
export const dataArg = {
  data: { type: 'string', valueHint: 'DIR', description: 'Directory of the instance (or SLUICE_DATA)' },
} as const;

export function dataDirOf(args: { readonly data?: string | undefined }): string {
  return resolve(args.data ?? (process.env['SLUICE_DATA'] || defaultDataDir));
}

/** The configuration of the running instance. Throws NotRunning. */
export function instanceConfig(args: { readonly data?: string | undefined }): Config {
  return configOf(dataDirOf(args));
}
