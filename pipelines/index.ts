import type { Pipeline, Text } from '../core/pipeline.ts';
import engagement from './engagement.ts';
import trending from './trending.ts';

/** Every pipeline that runs, by name. */
export const pipelines: Readonly<Record<string, Pipeline<Text>>> = { engagement, trending };
