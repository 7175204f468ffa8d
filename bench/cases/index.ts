import type { Case } from '../case.ts';
import { backfill } from './backfill.ts';
import { batches } from './batches.ts';
import { burst } from './burst.ts';
import { five } from './five.ts';
import { growth } from './growth.ts';
import { huge } from './huge.ts';
import { idle } from './idle.ts';
import { keys } from './keys.ts';
import { latency } from './latency.ts';
import { pause } from './pause.ts';
import { plain } from './plain.ts';
import { tiny } from './tiny.ts';
import { updatesDeletes } from './updates-deletes.ts';
import { wide } from './wide.ts';

/** In the order in which they run: what the plain case reaches, others are held against. */
export const cases: readonly Case[] = [plain, latency, burst, tiny, huge, updatesDeletes, wide, five, pause, batches, keys, backfill, growth, idle];
