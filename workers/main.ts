import { join } from 'node:path';
import { definitionMistake } from '../core/define/definition-mistake.ts';
import { openLog } from './log.ts';

/** The process of a worker. It is loaded late: a definition that cannot be read is one line of its log, not a stack. */
try {
  const { prepare, work } = await import('./worker.ts');
  if (process.argv[2] !== 'prepare') await work();
  await prepare();
  // a definition may have left something open
  process.exit(0);
} catch (error) {
  const mistake = definitionMistake(error, join(import.meta.dirname, '..'));
  if (!mistake) throw error;
  openLog('fatal').fatal(mistake.message);
  process.exitCode = 1;
}
