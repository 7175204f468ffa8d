import { viewsHash } from '../../core/define/definition-hash.ts';
import { lanesOf } from '../../core/define/lanes.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { FenceMoved } from '../sink.ts';
import { assertKeptAsHere } from './aggregate/kept-views.ts';
import { classified } from './errors.ts';
import type { Queryable, State } from './state/state.ts';

/*
 * Live structures that are to be made anew, for what they are made of has changed (the panes have got the event of a letter),
 * or nobody knows what they were made of (their store was silent when the stream began again).
 */

/** In the transaction that settles a letter of the aggregate lane: whatever happens then, each live structure is still due. */
export async function noteRebuilds(client: Queryable, pipeline: Pipeline, lanes: readonly string[] = liveLanes(pipeline)): Promise<void> {
  await classified('state database', () => client.query('insert into sluice.live_rebuild (pipeline, lane) select $1, unnest($2::text[])', [pipeline.name, lanes]));
}

/** Those lanes of a pipeline that have one due. */
export async function lanesToRebuild(state: State, pipeline: string): Promise<ReadonlySet<string>> {
  const { rows } = await classified('state database', () => state.query<{ lane: string }>('select distinct lane from sluice.live_rebuild where pipeline = $1', [pipeline]));
  return new Set(rows.map(({ lane }) => lane));
}

/** Of one lane, as its sink asks for them. Throws FenceMoved once the views of the pipeline are others: somebody who stood still would go on with those of before; ConfigurationError as `assertKeptAsHere`. */
export function dueRebuilds(state: State, pipeline: Pipeline, lane: string) {
  const query = <R extends object>(sql: string, values: readonly unknown[]) => classified('state database', () => state.query<R & Record<string, unknown>>(sql, [...values]));
  const { name } = pipeline;
  const own = viewsHash(pipeline);
  return {
    due: async () => {
      const { rows: [found] } = await query<{ ids: readonly string[]; views: string | null }>(
        'select array(select id::text from sluice.live_rebuild where pipeline = $1 and lane = $2) as ids, (select views from sluice.aggregate where pipeline = $1) as views',
        [name, lane],
      );
      const { ids, views } = found!;
      if (views !== null && views !== own) {
        await classified('state database', () => assertKeptAsHere(state, name));
        throw new FenceMoved(`lane ${lane} of ${name}`, `views ${own.slice(0, 8)}`, `views ${views.slice(0, 8)}`);
      }
      return ids;
    },
    done: async (due: readonly string[]) => {
      if (due.length > 0) await query('delete from sluice.live_rebuild where id = any($1::bigint[])', [due]);
    },
  };
}

function liveLanes(pipeline: Pipeline): readonly string[] {
  return lanesOf(pipeline).flatMap(({ name, kind }) => (kind === 'redis-live' ? [name] : []));
}
