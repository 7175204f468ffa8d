import { z } from '@hono/zod-openapi';

const iso = z.iso.datetime();

export const Board = z
  .object({
    name: z.string().openapi({ description: "The sink's name." }),
    view: z.string(),
    window: z.object({ kind: z.enum(['tumbling', 'hopping', 'rolling']), sizeMs: z.number(), everyMs: z.number() }),
    measure: z.string().openapi({ description: 'The measure that ranks.' }),
    start: iso.nullable().openapi({ description: 'The window, in event time. Null: nothing was computed yet.' }),
    end: iso.nullable(),
    revision: z.number().nullable().openapi({ description: 'Null: a rolling window, which is always current.' }),
    final: z.boolean().nullable(),
    rows: z.array(
      z.object({
        rank: z.number(),
        key: z.string(),
        label: z.string().nullable(),
        value: z.string().openapi({ description: 'A decimal.' }),
      }),
    ),
    problem: z.string().nullable().openapi({ description: 'Why it cannot be read now.' }),
  })
  .openapi('Board');

export const Results = z.object({ boards: z.array(Board) }).openapi('Results');

export type Board = z.output<typeof Board>;
export type Results = z.output<typeof Results>;
export type BoardRow = Board['rows'][number];
/** What a store tells of a board; names of keys are added afterwards where they are missing. */
export type BoardContent = Pick<Board, 'start' | 'end' | 'revision' | 'final' | 'rows'>;

export const emptyBoard: BoardContent = { start: null, end: null, revision: null, final: null, rows: [] };
