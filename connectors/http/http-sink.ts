import { eventsTable } from '../../core/capture/assembler.ts';
import { discard } from '../../core/columns/discard.ts';
import { killPoint } from '../../core/kill-point.ts';
import type { Pipeline, SinkDefinition } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { parsePosition, positionAt } from '../../core/position.ts';
import type { Segment } from '../../core/segment.ts';
import { batchOf } from '../../core/segment.ts';
import type { Applied, Sink } from '../sink.ts';
import { FenceMoved } from '../sink.ts';
import { JsonBuffer } from './json-buffer.ts';
import { MessageWriter } from './message.ts';
import type { PendingRange } from './pending.ts';
import { PendingInState } from './pending.ts';
import type { Content, Poster } from './post.ts';
import { HttpPoster, mostBodies } from './post.ts';

/** `release`: the content is not needed any more. */
type Written = { readonly content: Content; readonly release: () => void };
type Message = Written & { readonly id: string; readonly events: number };
type Definition = Extract<SinkDefinition, { kind: 'http' }>;

/** `allowPrivate`: also addresses that are not public, as those of the embedded receiver. */
export type HttpOptions = { readonly stateUrl: string; readonly allowPrivate: boolean; readonly timeoutMs?: number };

/** The sink of a lane, with its fence in the state database. */
export function httpSink(pipeline: Pipeline, lane: string, definition: Definition, { stateUrl, allowPrivate, timeoutMs = 30_000 }: HttpOptions): HttpSink {
  const { url, secret } = definition;
  return new HttpSink(pipeline, lane, definition, { pending: new PendingInState(stateUrl, pipeline.name, lane), poster: new HttpPoster({ url, secret, allowPrivate, timeoutMs }) });
}

/**
 * Enriched rows by HTTP, at least once: a message has at most `maxRows` events, and its id derives from its range of
 * positions, which is recorded before it is sent, so that a repetition is the same message (E12).
 */
export class HttpSink implements Sink {
  readonly #pipeline: Pipeline;
  readonly #writer: MessageWriter;
  readonly #lane: string;
  readonly #definition: Definition;
  readonly #pending: PendingRange;
  readonly #poster: Poster;
  /** For the next messages; one that is compressed needs its body only until it is. */
  readonly #bodies: JsonBuffer[] = [];
  /** Of the largest so far: one that grows on its way leaves five times its size behind. */
  #bodyBytes = 65_536;

  constructor(pipeline: Pipeline, lane: string, definition: Definition, { pending, poster }: { pending: PendingRange; poster: Poster }) {
    this.#pipeline = pipeline;
    this.#writer = new MessageWriter(pipeline);
    this.#lane = lane;
    this.#definition = definition;
    this.#pending = pending;
    this.#poster = poster;
  }

  readFence(): Promise<Position | undefined> {
    return this.#pending.readFence();
  }

  /**
   * Up to `inFlight` messages are on their way at once; the fence follows the first of them. What was recorded and not
   * seen accepted is sent again in the same messages, if the segments reach its end. If they do not (a lane is held below
   * it, or a new worker does not know of the newest segments yet), some of its events go out in other messages as well,
   * and the receiver sees them twice.
   */
  async apply(segments: readonly Segment[], from: Position, to: Position): Promise<Applied> {
    const begun = await this.#pending.read();
    const repeats = begun !== undefined && begun.from === from && begun.to < to;
    if (!repeats) return { events: await this.#send(segments, from, to) };
    // each on its own, so that no record spans both: within one, the pieces follow from where it begins and ends
    return { events: (await this.#send(segments, from, begun.to)) + (await this.#send(segments, begun.to, to)) };
  }

  /** Returns how many events there were. */
  async #send(segments: readonly Segment[], from: Position, to: Position): Promise<number> {
    const ends = this.#writer.pieces(segments, from, to, this.#definition.maxRows);
    const { inFlight } = this.#definition;
    const startOf = (index: number) => ends[index - 1] ?? from;
    const farthest = (index: number) => ends[Math.min(index, ends.length) - 1]!;
    const prepared: Promise<Message>[] = [];
    const sent: Promise<number>[] = [];
    const accepted = new Set<number>();
    const prepare = (index: number) => {
      if (index >= ends.length) return;
      prepared[index] = this.#message(segments, startOf(index), ends[index]!);
      prepared[index].catch(() => {}); // seen when it is sent
    };
    const send = (index: number) => {
      if (index >= ends.length) return;
      sent[index] = this.#post(prepared[index]!);
      sent[index].then(
        () => accepted.add(index),
        () => {}, // seen when its turn comes
      );
    };
    for (let index = 0; index < inFlight; index++) prepare(index);
    if (!(await this.#pending.record({ from, to: farthest(inFlight) }, this.#id(from, ends[0]!)))) throw await this.#moved(from);
    for (let index = 0; index < inFlight; index++) send(index);
    try {
      for (let index = 0; index < ends.length; ) {
        // the next is written and compressed while these are on their way
        prepare(index + inFlight);
        await sent[index];
        killPoint('http/accepted');
        // and of others that were accepted meanwhile, in one step
        let end = index + 1;
        for (; accepted.has(end); end++) prepare(end + inFlight);
        const range = { from: startOf(index), to: ends[end - 1]! };
        const next = end < ends.length ? { to: farthest(end + inFlight), messageId: this.#id(range.to, ends[end]!) } : undefined;
        if (!(await this.#pending.complete(range, next))) throw await this.#moved(range.from);
        for (; index < end; index++) send(index + inFlight);
      }
    } finally {
      // nobody looks at the segments any more
      await Promise.allSettled([...prepared, ...sent]);
    }
    return (await Promise.all(sent)).reduce((sum, events) => sum + events, 0);
  }

  async load(chunk: Segment, chunkNumber: number): Promise<void> {
    const batch = batchOf(chunk, eventsTable, 'after');
    if (!this.#definition.initialLoad || !batch || batch.rows === 0) return;
    const { maxRows } = this.#definition;
    const snapshot = positionAt(batch.positions, 0);
    for (let start = 0; start < batch.rows; start += maxRows) {
      const { content, release } = await this.#written((body) => this.#writer.snapshot(body, batch, start, Math.min(batch.rows, start + maxRows)));
      await this.#poster.post(this.#id('load', snapshot, chunkNumber, start / maxRows), content);
      release();
    }
  }

  /**
   * An event that the fence has passed already, in a message of its own that says so: a receiver folds by position, so a
   * newer change stays. The id is the same each time, until the letter is edited again.
   */
  async replay(event: Segment, edits: number): Promise<void> {
    const { content } = await this.#written((body) => this.#writer.replay(body, event));
    await this.#poster.post(this.#id('replay', event.header.to, edits), content);
  }

  async finishLoad(position: Position, again = false): Promise<void> {
    // Only an earlier load, which was lost, can have left rows there.
    if (this.#definition.initialLoad && (again || parsePosition(position).epoch > 1)) {
      await this.#poster.post(this.#id('loaded', position), { parts: [this.#writer.truncate(position)] });
    }
    if (!(await this.#pending.begin(position))) throw await this.#moved(position);
  }

  async close(): Promise<void> {
    this.#poster.close();
    await this.#pending.close();
  }

  /** Returns how many events it had. */
  async #post(prepared: Promise<Message>): Promise<number> {
    const { id, events, content, release } = await prepared;
    if (events > 0) await this.#poster.post(id, content);
    release();
    return events;
  }

  async #message(segments: readonly Segment[], from: Position, to: Position): Promise<Message> {
    let events = 0;
    const written = await this.#written((body) => {
      events = this.#writer.events(body, segments, from, to);
      return body.view();
    });
    return { ...written, id: this.#id(from, to), events };
  }

  async #written(write: (body: JsonBuffer) => Uint8Array): Promise<Written> {
    let body: JsonBuffer;
    const content = await this.#poster.content(() => {
      body = this.#bodies.pop() ?? new JsonBuffer(this.#bodyBytes);
      const view = write(body);
      this.#bodyBytes = Math.max(this.#bodyBytes, body.buffer.length);
      return view;
    });
    const release = () => void this.#bodies.push(body);
    if (content.encoding === undefined) return { content, release };
    // those that were sent as they are, before the other side said that it takes them compressed, were more
    if (this.#bodies.length < mostBodies) release();
    else discard(body!.buffer);
    return { content, release: () => {} };
  }

  async #moved(expected: Position): Promise<FenceMoved> {
    return new FenceMoved(this.#lane, expected, await this.#pending.readFence());
  }

  #id(...parts: readonly (string | number)[]): string {
    return [this.#pipeline.name, this.#lane, ...parts].join('_');
  }
}
