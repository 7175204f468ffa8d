import engagement from '../../pipelines/engagement.ts';
import { variant } from './variant.ts';

/** The sample pipeline with other settings. Those of `engagement`: 50,000 rows or 8 MiB, linger 50 ms, gathering 250 ms. */
export const smallBatches = variant(engagement, 'small_batches', { settings: { segmentRows: 5_000, segmentBytes: 1 << 20, lingerMs: 10 }, gatherMs: 50, maxRows: 1_000 });
export const largeBatches = variant(engagement, 'large_batches', { settings: { segmentRows: 200_000, segmentBytes: 32 << 20, lingerMs: 250 }, gatherMs: 1_000, maxRows: 20_000 });

export const linger10 = variant(engagement, 'linger_10', { settings: { lingerMs: 10 } });
export const linger100 = variant(engagement, 'linger_100', { settings: { lingerMs: 100 } });
export const linger250 = variant(engagement, 'linger_250', { settings: { lingerMs: 250 } });
export const gather50 = variant(engagement, 'gather_50', { gatherMs: 50 });

/** On one source, each with a slot of its own. */
export const five = [1, 2, 3, 4, 5].map((number) => variant(engagement, `five_${number}`));
