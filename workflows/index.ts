/** Every workflow, by the name that the Web UI shows. */
export { backfill } from './backfill.ts';
export { bootstrap } from './bootstrap.ts';
export { destroy } from './destroy.ts';
export { explain } from './explain.ts';
export { migration } from './migration.ts';
export { pipeline } from './pipeline.ts';
export { reconcile } from './reconcile.ts';
export { redefine } from './redefine.ts';
export { recovery } from './recovery.ts';
export { repair } from './repair.ts';
export { replay } from './replay.ts';
export { verify } from './verify.ts';
