import { join, resolve } from 'node:path';

/** The folder this program lies in, whatever the current directory is. */
export const checkout = resolve(import.meta.dirname, '../..');

export const defaultDataDir = join(checkout, '.sluice', 'data');

/** Programs fetched once, shared by all instances of this checkout. */
export const partsFolder = join(checkout, '.sluice', 'parts');
