import type { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { unreachable } from '../../core/unreachable.ts';
import { type Board, type BoardContent, emptyBoard, type Results } from './board.ts';
import type { BoardPlace } from './boards.ts';
import { withLabels } from './labels.ts';
import { readPublishedBoard } from './published-board.ts';
import { readRollingBoard } from './rolling-board.ts';
import { readTableBoard } from './table-board.ts';

export type Stores = { readonly redis: Redis; readonly state: Pool };

/** All boards of a pipeline as they are now. One that cannot be read says so; the others are shown. */
export async function readResults(stores: Stores, pipeline: string, places: readonly BoardPlace[]): Promise<Results> {
  return { boards: await Promise.all(places.map((place) => readBoard(stores, pipeline, place))) };
}

async function readBoard(stores: Stores, pipeline: string, place: BoardPlace): Promise<Board> {
  const { name, view, window, measure } = place;
  try {
    const content = await readContent(stores, place);
    const rows = await withLabels(stores.state, pipeline, place, content.rows);
    return { name, view, window, measure, ...content, rows, problem: null };
  } catch (error) {
    const problem = `${place.at} cannot be read: ${reason(error as Error)}`;
    return { name, view, window, measure, ...emptyBoard, problem };
  }
}

function readContent({ redis, state }: Stores, place: BoardPlace): Promise<BoardContent> {
  switch (place.kind) {
    case 'redis-live':
      return readRollingBoard(redis, place);
    case 'redis-results':
      return readPublishedBoard(redis, place);
    case 'postgres-results':
      return readTableBoard(state, place);
    default:
      return unreachable(place.kind);
  }
}

/** A Redis that is away shows itself in several ways; what to do is the same. */
function reason({ name, message }: Error): string {
  const isAway = name === 'MaxRetriesPerRequestError' || /timed out|Connection is closed|ECONNREFUSED/.test(message);
  return isAway ? 'its server does not answer. See ./sluice status.' : message;
}
