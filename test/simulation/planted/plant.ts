import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { plantedBugs } from './bugs.ts';

/** Loaded before everything else (`node --import`): the process runs with the bug that SLUICE_PLANTED names. */
const bug = plantedBugs.find(({ name }) => name === process.env['SLUICE_PLANTED']);
if (!bug) throw new TypeError(`no planted bug is called ${JSON.stringify(process.env['SLUICE_PLANTED'])}`);

const root = join(import.meta.dirname, '../../..');
const edits = Map.groupBy(bug.edits, ({ file }) => pathToFileURL(join(root, file)).href);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const own = edits.get(url);
    if (!own) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
    for (const { file, find, replace } of own) {
      const parts = source.split(find);
      // the code has changed: the bug must be planted where it is now
      if (parts.length !== 2) throw new Error(`the text to plant ${bug.name} into is ${parts.length - 1} times in ${file}: ${find}`);
      source = parts.join(replace);
    }
    return { ...loaded, source };
  },
});
