import { Pool } from 'pg';
import { eventsTable } from '../../core/capture/assembler.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { parsePosition, positionAt } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { batchOf } from '../../core/segment.ts';
import type { Applied, Sink } from '../sink.ts';
import { FenceMoved } from '../sink.ts';
import { JsonBuffer } from './json-buffer.ts';
import { MessageWriter } from './message.ts';
import type { Range } from './pending.ts';
import { PendingRange } from './pending.ts';
import { Poster } from './post.ts';

type Message = { readonly range: Range; readonly id: string; readonly events: number; readonly body: JsonBuffer };
type Definition = Extract<SinkDefinition, { kind: 'http' }>;

/** `allowPrivate`: also addresses that are not public, as those of the embedded receiver. */
export type HttpOptions = { readonly stateUrl: string; readonly allowPrivate: boolean; readonly timeoutMs?: number };

/**
 * Enriched rows by HTTP, at least once: a message has at most `maxRows` events, and its id derives from its range of
 * positions, which is recorded before it is sent, so that a repetition is the same message (E12).
 */
export class HttpSink implements Sink {
  readonly #pipeline: Pipeline;
  readonly #writer: MessageWriter;
  readonly #lane: string;
  readonly #definition: Definition;
  readonly #pool: Pool;
  readonly #pending: PendingRange;
  readonly #poster: Poster;
  /** While one body is being sent, the next one is written. */
  readonly #bodies = [new JsonBuffer(1 << 20), new JsonBuffer(1 << 20)] as const;

  constructor(pipeline: Pipeline, lane: string, definition: Definition, { stateUrl, allowPrivate, timeoutMs = 30_000 }: HttpOptions) {
    this.#pipeline = pipeline;
    this.#writer = new MessageWriter(pipeline);
    this.#lane = lane;
    this.#definition = definition;
    this.#pool = new Pool({ connectionString: stateUrl, max: 2 });
    this.#pool.on('error', () => {}); // an idle connection broke: the next call says it
    this.#pending = new PendingRange(this.#pool, pipeline.name, lane);
    this.#poster = new Poster({ url: definition.url, secret: definition.secret, allowPrivate, timeoutMs });
  }

  readFence(): Promise<Position | undefined> {
    return this.#pending.readFence();
  }

  /**
   * A message that was recorded and not seen accepted is sent again as it was, if the segments reach its end. If they do
   * not (a lane is held below it), its events go out in other messages, and the receiver sees them twice.
   */
  async apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    const begun = await this.#pending.read();
    const repeats = begun !== undefined && begun.from === from && begun.to <= to;
    const ends = repeats ? [begun.to, ...(begun.to < to ? this.#ends(segments, begun.to, to) : [])] : this.#ends(segments, from, to);
    let events = 0;
    let message = this.#message(segments, from, ends[0]!, 0);
    await this.#recorded(message);
    for (let index = 0; index < ends.length; index++) {
      const { range, id, body } = message;
      const sent = message.events === 0 ? Promise.resolve() : this.#poster.post(id, body.view());
      // while that is on its way; an error of it is seen below
      sent.catch(() => {});
      const next = index + 1 < ends.length ? this.#message(segments, range.to, ends[index + 1]!, index + 1) : undefined;
      await sent;
      if (!(await this.#pending.complete(range, next && { range: next.range, messageId: next.id }))) throw await this.#moved(range.from);
      events += message.events;
      if (next) message = next;
    }
    return { events };
  }

  async load(chunk: Segment, chunkNumber: number): Promise<void> {
    const batch = batchOf(chunk, eventsTable, 'after');
    if (!this.#definition.initialLoad || !batch || batch.rows === 0) return;
    const { maxRows } = this.#definition;
    const snapshot = positionAt(batch.positions, 0);
    for (let start = 0; start < batch.rows; start += maxRows) {
      this.#writer.snapshot(this.#bodies[0], batch, start, Math.min(batch.rows, start + maxRows));
      await this.#poster.post(this.#id('load', snapshot, chunkNumber, start / maxRows), this.#bodies[0].view());
    }
  }

  async finishLoad(position: Position): Promise<void> {
    // Only an earlier load, which was lost, can have left rows there.
    if (this.#definition.initialLoad && parsePosition(position).epoch > 1) {
      this.#writer.truncate(this.#bodies[0], position);
      await this.#poster.post(this.#id('loaded', position), this.#bodies[0].view());
    }
    await this.#pending.begin(position);
  }

  async close(): Promise<void> {
    this.#poster.close();
    await this.#pool.end();
  }

  #ends(segments: readonly Segment[], from: Position, to: Position): readonly Position[] {
    return this.#writer.pieces(segments, from, to, this.#definition.maxRows);
  }

  #message(segments: readonly Segment[], from: Position, to: Position, index: number): Message {
    const body = this.#bodies[index % 2]!;
    const events = this.#writer.events(body, segments, from, to);
    return { range: { from, to }, id: this.#id(from, to), events, body };
  }

  async #recorded({ range, id, events }: Message): Promise<void> {
    if (events > 0 && !(await this.#pending.record(range, id))) throw await this.#moved(range.from);
  }

  async #moved(expected: Position): Promise<FenceMoved> {
    return new FenceMoved(this.#lane, expected, await this.#pending.readFence());
  }

  #id(...parts: readonly (string | number)[]): string {
    return [this.#pipeline.name, this.#lane, ...parts].join('_');
  }
}
