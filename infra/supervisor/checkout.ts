import { join, resolve } from 'node:path';

/** The folder this program lies in, whatever the current directory is. */
export const checkout = resolve(import.meta.dirname, '../..');

export const defaultDataDir = join(checkout, '.sluice', 'data');

/** A command as one types it for that instance, which the environment may name already. */
export function typed(command: string, dataDir: string): string {
  const isMeant = dataDir === resolve(process.env['SLUICE_DATA'] || defaultDataDir);
  return `./sluice ${command}${isMeant ? '' : ` --data ${dataDir}`}`;
}

/** Programs fetched once, shared by all instances of this checkout. */
export const partsFolder = join(checkout, '.sluice', 'parts');
