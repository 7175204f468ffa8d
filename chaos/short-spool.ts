import { pipelines } from '../pipelines/index.ts';

/** Loaded before the worker: its pipelines keep two minutes of the spool and not an hour, so that a soak sees it trimmed. */
for (const pipeline of Object.values(pipelines)) Object.assign(pipeline.settings, { spoolKeepMs: 120_000 });
