import type { Client } from 'pg';
import { eventsTable } from '../../core/capture/assembler.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Segment } from '../../core/segment.ts';
import { fileNodes, type FileNodes, type Piece, type SnapshotReader } from './snapshot-reader.ts';
import { quoteRelation } from './source-catalog.ts';

type WholeTables = { readonly pipeline: Pipeline; readonly source: Client; readonly reader: SnapshotReader; readonly signal: AbortSignal };

/** Every row of a pipeline's tables under a snapshot; dimensions first, as events are enriched with them. */
export async function* wholeTables({ pipeline: { source: { events, dimensions } }, source, reader, signal }: WholeTables): AsyncGenerator<Segment> {
  for (const [name, { relation }] of [...Object.entries(dimensions), [eventsTable, events] as const]) {
    for await (const piece of piecesOf(source, relation)) {
      signal.throwIfAborted();
      yield* reader.read(name, piece);
    }
  }
}

/** A table's files, a part of each after another. */
export async function* piecesOf(source: Client, relation: string): AsyncGenerator<Piece> {
  for (const leaf of await leaves(source, relation)) {
    for (let page = 0; page === 0 || page < leaf.pages; page += pagesPerChunk) {
      // the last one has no upper end: pages may have been added since the table was measured
      const end = page + pagesPerChunk >= leaf.pages ? '' : `and ctid < '(${page + pagesPerChunk},0)'::tid`;
      yield { relation: leaf.relation, only: true, where: `ctid >= '(${page},0)'::tid ${end}` };
    }
  }
}

/** From before the slot was made whose snapshot they are read under. */
export async function leafFiles(source: Client, { source: { events, dimensions } }: Pipeline): Promise<FileNodes> {
  const files = new Map<string, string>();
  for (const { relation } of [events, ...Object.values(dimensions)]) {
    for (const leaf of await leaves(source, relation)) files.set(leaf.relation, (await fileNodes(source, leaf.relation))!);
  }
  return files;
}

/** 16 MiB. */
const pagesPerChunk = 2048;

type Leaf = { readonly relation: string; readonly pages: number };

async function leaves(source: Client, relation: string): Promise<Leaf[]> {
  const { rows } = await source.query<{ relation: string; pages: string }>(
    `select n.nspname || '.' || c.relname as relation, (pg_relation_size(c.oid) / current_setting('block_size')::int)::text as pages
       from pg_partition_tree($1::regclass) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
      where t.isleaf
      union
     select n.nspname || '.' || c.relname, (pg_relation_size(c.oid) / current_setting('block_size')::int)::text
       from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = $1::regclass and c.relkind = 'r'
      order by 1`,
    [quoteRelation(relation)],
  );
  return rows.map((row) => ({ relation: row.relation, pages: Number(row.pages) }));
}
