import { DatabaseError, type Client } from 'pg';
import type { Pipeline } from '../../core/pipeline.ts';
import { quoteRelation } from './source-catalog.ts';

/** So many rows the planner expects in the pipeline's tables: in one that was never analysed, by its size. Null: it has no answer, as a table is gone, or held by whoever alters it. */
export async function readExpectedRows(client: Client, { source: { events, dimensions } }: Pipeline): Promise<number | null> {
  await client.query("begin read only; set local lock_timeout = '2s'");
  try {
    let expected = 0;
    for (const { relation } of [events, ...Object.values(dimensions)]) {
      const { rows } = await client.query<{ 'QUERY PLAN': readonly { readonly Plan: { readonly 'Plan Rows': number } }[] }>(`explain (format json) select from ${quoteRelation(relation)}`);
      expected += rows[0]!['QUERY PLAN'][0]!.Plan['Plan Rows'];
    }
    return expected;
  } catch (error) {
    // what is wrong with a table, whoever wants more of it than a number says
    if (error instanceof DatabaseError) return null;
    throw error;
  } finally {
    await client.query('rollback');
  }
}
