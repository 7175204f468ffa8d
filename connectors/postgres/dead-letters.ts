import type { RefusedEvent } from '../../core/dead-letters/dead-letter.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { ConfigurationError } from '../sink.ts';
import { classified } from './errors.ts';
import type { Queryable, State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** Where an event was found: its segment, and how many events that has. */
export type Surroundings = { readonly from: Position; readonly to: Position; readonly events: number };

/** The dead letters of one lane, as the lane itself sees them. */
export class DeadLetters {
  readonly #state: State;
  readonly #pipeline: Pipeline;
  readonly #lane: string;

  constructor(state: State, pipeline: Pipeline, lane: string) {
    this.#state = state;
    this.#pipeline = pipeline;
    this.#lane = lane;
  }

  /**
   * Keeps an event before the fence passes it; keeping it again changes nothing. A destination that has lost what was
   * replayed into it meets the event again: then it waits again. The aggregate lane's panes are where the letters are, so
   * they cannot be lost without them. Throws ConfigurationError when there are too many.
   */
  keep(event: RefusedEvent, reason: string, around: Surroundings): Promise<void> {
    return this.#transaction(async (client) => {
      // one at a time, or two lanes could both take the last place
      await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.dead_letter ' || $1::text, 0))", [this.#pipeline.name]);
      await this.#assertRoom(client, event, around);
      await client.query(
        `insert into sluice.dead_letter (pipeline, lane, position, op, key, reason, commit_us, content) values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (pipeline, lane, position) do update set state = 'waiting', settled_at = null, reason = excluded.reason
           where dead_letter.state = 'replayed' and $2 <> 'aggregate'`,
        [this.#pipeline.name, this.#lane, event.position, event.op, event.key, reason, event.commitUs, JSON.stringify(event.content)],
      );
    });
  }

  /** The table was truncated there: what came before it changes nothing any more. Before the destination is told. */
  async voidBelow(position: Position): Promise<void> {
    await this.#query('delete from sluice.dead_letter where pipeline = $1 and lane = $2 and position < $3', [this.#pipeline.name, this.#lane, position]);
  }

  async waiting(): Promise<number> {
    const { rows } = await this.#query<{ waiting: string }>("select count(*) as waiting from sluice.dead_letter where pipeline = $1 and lane = $2 and state = 'waiting'", [this.#pipeline.name, this.#lane]);
    return Number(rows[0]!.waiting);
  }

  /** A live structure was made anew out of panes as of `fence`: it has what they have, and only that. */
  async rebuilt(fence: Position): Promise<void> {
    await this.#query(
      `update sluice.dead_letter letter set state = 'replayed', settled_at = now() where pipeline = $1 and lane = $2 and position <= $3 and state = 'waiting'
         and not exists (select from sluice.dead_letter panes where panes.pipeline = $1 and panes.lane = 'aggregate' and panes.position = letter.position and panes.state = 'waiting')`,
      [this.#pipeline.name, this.#lane, fence],
    );
  }

  async #assertRoom(client: Queryable, { position, key }: RefusedEvent, { from, to, events }: Surroundings): Promise<void> {
    const { name, settings } = this.#pipeline;
    const budget = Math.max(settings.deadLetterRows, Math.floor((events * settings.deadLetterPercent) / 100));
    const { rows } = await client.query<{ here: string; waiting: string; all: string }>(
      `select count(*) filter (where lane = $2 and state = 'waiting' and position > $3 and position <= $4) as here, count(*) filter (where state = 'waiting') as waiting, count(*) as all
       from sluice.dead_letter where pipeline = $1 and (lane, position) <> ($2, $5)`,
      [name, this.#lane, from, to, position],
    );
    const { here, waiting, all } = { here: Number(rows[0]!.here), waiting: Number(rows[0]!.waiting), all: Number(rows[0]!.all) };
    const goOn = `type ./sluice resume ${name} --lane ${this.#lane}, and then ./sluice dlq replay ${name}`;
    if (here >= budget) {
      throw new ConfigurationError(
        `Lane ${this.#lane}: its destination refuses more than ${budget} of the ${events} events of a segment for their content (deadLetterRows ${settings.deadLetterRows}, deadLetterPercent ${settings.deadLetterPercent}; the last one has the key ${key}), so the fault is hardly in single rows. See the reasons with ./sluice dlq list ${name} --lane ${this.#lane}, mend what refuses them, ${goOn}.`,
      );
    }
    if (waiting >= settings.deadLettersKept) {
      throw new ConfigurationError(
        `Lane ${this.#lane}: its destination refuses the event with the key ${key} for its content, and ${name} keeps ${waiting} dead letters already (deadLettersKept ${settings.deadLettersKept}). Look at them with ./sluice dlq list ${name}, replay or drop some, and ${goOn}.`,
      );
    }
    // what is settled is only remembered
    const over = all + 1 - settings.deadLettersKept;
    if (over > 0) await client.query("delete from sluice.dead_letter where id in (select id from sluice.dead_letter where pipeline = $1 and state <> 'waiting' order by settled_at limit $2)", [name, over]);
  }

  #query<R extends object>(sql: string, values: readonly unknown[]) {
    return classified('state database', () => this.#state.query<R & Record<string, unknown>>(sql, [...values]));
  }

  #transaction<T>(work: (client: Queryable) => Promise<T>): Promise<T> {
    return classified('state database', () => inTransaction(this.#state, work));
  }
}
