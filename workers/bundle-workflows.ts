import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';

/** Writes the bundle to the file given. A process of its own: webpack would leave as much in a worker's heap as all else. */
const { code } = await bundleWorkflowCode({ workflowsPath: join(import.meta.dirname, '..', 'workflows/index.ts') });
writeFileSync(process.argv[2]!, code);
