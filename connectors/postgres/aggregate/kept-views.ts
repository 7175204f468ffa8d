import { recordedDefinition, viewsHash, type LastingDefinition } from '../../../core/define/definition-hash.ts';
import { ConfigurationError } from '../../sink.ts';
import type { Queryable } from '../state/state.ts';

/**
 * Throws ConfigurationError if the panes in the state database are not those that this release makes of the views on record: another release, which
 * keeps them otherwise, has made them.
 */
export async function assertKeptAsHere(client: Queryable, pipeline: string): Promise<void> {
  const { rows: [found] } = await client.query<{ views: string | null; definition: LastingDefinition | null }>('select views, definition from sluice.aggregate join sluice.shard using (pipeline) where pipeline = $1 and shard = $1', [pipeline]);
  // nothing is there, or a release that put neither on record wrote last
  if (!found?.definition || found.views === null || found.views === viewsHash(recordedDefinition(found.definition))) return;
  const lead = `Start workers of that release again and type ./sluice resume ${pipeline}; or have this one make them anew, with all that ${pipeline} has, from what the source has now: `;
  throw new ConfigurationError(`The panes of ${pipeline} were made by another release of Sluice, which keeps the same views otherwise than this one does. Nothing was changed.`, { mend: { lead, type: `./sluice recover ${pipeline}` } });
}
