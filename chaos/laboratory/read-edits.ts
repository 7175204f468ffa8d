import { edit, readEdits } from './edits.ts';

/** Loaded before a worker: its pipelines are as they stand edited in its data directory when it starts. */
for (const [name, edits] of Object.entries(readEdits(process.env['SLUICE_DATA'] ?? ''))) edit(name, edits);
