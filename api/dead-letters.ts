import { createRoute, z, type OpenAPIHono } from '@hono/zod-openapi';
import { dropLetters, editLetter, LetterSettled, listLetters, NoSuchLetter, readLetter } from '../client/dead-letters.ts';
import { startReplay } from '../client/replay.ts';
import type { Config } from '../core/config.ts';
import { letterStates, type LetterContent } from '../core/dead-letters/dead-letter.ts';
import { InvalidContent } from '../core/dead-letters/invalid-content.ts';
import { ApiError, errorResponses } from './errors.ts';
import { assertLane, knownPipeline, PipelineName } from './known.ts';
import type { Resources } from './resources.ts';

const Id = z.coerce.number().int().positive();
const Lane = z.string().optional().openapi({ description: 'Only the letters of this lane.' });
const Letter = z
  .object({
    id: z.number(),
    pipeline: z.string(),
    lane: z.string(),
    position: z.string().openapi({ description: 'Of the event in the stream: 32 hexadecimal digits.' }),
    op: z.enum(['insert', 'update', 'delete']),
    key: z.string().nullable(),
    reason: z.string().openapi({ description: 'What the destination said; it may quote the row.' }),
    state: z.enum(letterStates),
    committedAt: z.iso.datetime(),
    foundAt: z.iso.datetime(),
    settledAt: z.iso.datetime().nullable(),
    edits: z.number(),
  })
  .openapi('DeadLetter');
const Row = z.record(z.string(), z.string().nullable()).openapi({ description: 'Values as Postgres writes them; null is NULL.' });
const Content = z.object({ before: Row.optional(), after: Row.optional() }).openapi('DeadLetterContent');
const LetterWithContent = Letter.extend({
  content: Content,
  edited: Content.nullable().openapi({ description: 'What a replay sends instead.' }),
}).openapi('DeadLetterWithContent');
const Choice = z.strictObject({
  lane: Lane,
  id: z.number().int().positive().optional().openapi({ description: 'Only this letter.' }),
});
/** An empty body must not give everything up. */
const DropChoice = Choice.extend({ all: z.literal(true).optional() }).refine((choice) => Object.keys(choice).length > 0, 'say which: {"id": 17}, {"lane": "<name>"}, or {"all": true}');

const json = <T extends z.ZodType>(schema: T) => ({ 'application/json': { schema } });
const LetterId = PipelineName.extend({ id: Id.openapi({ param: { name: 'id', in: 'path' } }) });

const list = createRoute({
  method: 'get',
  path: '/pipelines/{name}/dead-letters',
  summary: 'Events that destinations refused for their content, in the order of the stream',
  request: { params: PipelineName, query: z.object({ lane: Lane, state: z.enum([...letterStates, 'all']).default('waiting'), limit: z.coerce.number().int().min(1).max(1_000).default(100) }) },
  responses: { 200: { description: 'Letters', content: json(z.object({ deadLetters: z.array(Letter) })) }, ...errorResponses(400, 401, 404, 503) },
});
const one = createRoute({
  method: 'get',
  path: '/pipelines/{name}/dead-letters/{id}',
  summary: 'One letter, with its row',
  request: { params: LetterId },
  responses: { 200: { description: 'The letter', content: json(LetterWithContent) }, ...errorResponses(400, 401, 404, 503) },
});
const edit = createRoute({
  method: 'patch',
  path: '/pipelines/{name}/dead-letters/{id}',
  summary: 'Change values of the row that a replay will send',
  request: { params: LetterId, body: { required: true, content: json(z.strictObject({ set: Row })) } },
  responses: { 200: { description: 'The letter as it is now', content: json(LetterWithContent) }, ...errorResponses(400, 401, 404, 409, 503) },
});
const replay = createRoute({
  method: 'post',
  path: '/pipelines/{name}/dead-letters/replay',
  summary: 'Start a workflow that sends letters again; newer changes of their rows stay',
  request: { params: PipelineName, body: { required: false, content: json(Choice) } },
  responses: { 202: { description: 'It has started', content: json(z.object({ workflowId: z.string(), workflowUrl: z.string().nullable() })) }, ...errorResponses(400, 401, 404, 503) },
});
const drop = createRoute({
  method: 'post',
  path: '/pipelines/{name}/dead-letters/drop',
  summary: 'Give letters up: their destination will never have these events',
  request: { params: PipelineName, body: { required: true, content: json(DropChoice) } },
  responses: { 200: { description: 'How many', content: json(z.object({ dropped: z.number() })) }, ...errorResponses(400, 401, 404, 409, 503) },
});

export function deadLetterRoutes(app: OpenAPIHono, { config, pipelines }: Resources): void {
  const chosen = async (name: string, choice: z.output<typeof Choice> | undefined) => {
    const pipeline = knownPipeline(pipelines, name);
    if (choice?.lane !== undefined) assertLane(pipeline, choice.lane);
    if (choice?.id !== undefined) await letterOf(config, name, choice.id);
    return { pipeline: name, ...choice };
  };

  app.openapi(list, async (c) => {
    const { lane, state, limit } = c.req.valid('query');
    const choice = await chosen(c.req.valid('param').name, { lane });
    const letters = await answered(listLetters(config, { ...choice, states: state === 'all' ? letterStates : [state], limit }));
    return c.json({ deadLetters: [...letters] }, 200);
  });
  app.openapi(one, async (c) => {
    const { name, id } = c.req.valid('param');
    knownPipeline(pipelines, name);
    return c.json(plain(await letterOf(config, name, id)), 200);
  });
  app.openapi(edit, async (c) => {
    const { name, id } = c.req.valid('param');
    knownPipeline(pipelines, name);
    await letterOf(config, name, id);
    return c.json(plain(await answered(editLetter(config, id, c.req.valid('json').set))), 200);
  });
  app.openapi(replay, async (c) => {
    const { lane, id, pipeline } = await chosen(c.req.valid('param').name, c.req.valid('json'));
    return c.json(await answered(startReplay(config, { pipeline, ...(lane === undefined ? {} : { lane }), ...(id === undefined ? {} : { id }) })), 202);
  });
  app.openapi(drop, async (c) => {
    const { lane, id } = c.req.valid('json');
    const choice = await chosen(c.req.valid('param').name, { lane, id });
    return c.json({ dropped: await answered(dropLetters(config, choice)) }, 200);
  });
}

/** A letter of another pipeline is not found here. */
async function letterOf(config: Config, pipeline: string, id: number) {
  const letter = await answered(readLetter(config, id));
  if (letter.pipeline === pipeline) return letter;
  throw new ApiError(404, 'unknown_letter', `The pipeline ${pipeline} has no dead letter ${id}.`);
}

function plain<L extends { readonly content: LetterContent; readonly edited: LetterContent | null }>(letter: L) {
  return { ...letter, content: { ...letter.content }, edited: letter.edited && { ...letter.edited } };
}

async function answered<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof NoSuchLetter) throw new ApiError(404, 'unknown_letter', message);
    if (error instanceof LetterSettled) throw new ApiError(409, 'letter_settled', message);
    if (error instanceof InvalidContent) throw new ApiError(400, 'invalid_content', `${message}.`);
    throw new ApiError(503, 'unavailable', message, { cause: error });
  }
}
