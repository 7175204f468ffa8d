import type { View } from '../../core/pipeline.ts';
import engagement from '../../pipelines/engagement.ts';
import { variant } from './variant.ts';

/** The sample pipeline with its first 1, 2, 3, 4 sinks; the aggregate lane is beside each. */
export const lanes = Object.keys(engagement.sinks).map((_, index) => variant(engagement, `lanes_${index + 1}`, { sinks: Object.fromEntries(Object.entries(engagement.sinks).slice(0, index + 1)) }));

/** Windows of lengths that share no panes: each view folds into panes of its own. */
const sizesMs = [10_000, 12_000, 15_000, 20_000, 24_000, 30_000, 40_000, 60_000];

/** Rows to ClickHouse, and 1, 2, 4, 8 views of which the first is published. */
export const views = [1, 2, 4, 8].map((count) =>
  variant(engagement, `views_${count}`, {
    views: Object.fromEntries(sizesMs.slice(0, count).map((sizeMs, index) => [`view_${index + 1}`, { ...engagement.views['leaderboard']!, window: { kind: 'tumbling', sizeMs, everyMs: sizeMs } } satisfies View])),
    sinks: { enriched: engagement.sinks['enriched']!, published: { kind: 'redis-results', view: 'view_1', key: '' } },
  }),
);
