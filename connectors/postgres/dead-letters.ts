import type { RefusedEvent } from '../../core/dead-letters/dead-letter.ts';
import { Tally } from '../../core/dead-letters/tally.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { parsePosition, type Position } from '../../core/position.ts';
import { ConfigurationError, FenceMoved } from '../sink.ts';
import { classified } from './errors.ts';
import type { Queryable, State } from './state/state.ts';
import { inTransaction } from './state/state.ts';

/** Where an event was found: its segment, and how many events that has. */
export type Surroundings = { readonly from: Position; readonly to: Position; readonly events: number };

/** The dead letters of one lane, as a step of the lane sees them. `tally`: of the steps before, in this process. */
export class DeadLetters {
  readonly #state: State;
  readonly #pipeline: Pipeline;
  readonly #lane: string;
  readonly #tally: Tally;

  constructor(state: State, pipeline: Pipeline, lane: string, tally = new Tally()) {
    this.#tally = tally;
    this.#state = state;
    this.#pipeline = pipeline;
    this.#lane = lane;
  }

  /**
   * Keeps an event before the fence passes it; keeping it again changes nothing. A destination that has lost what was
   * replayed into it meets the event again: then it waits again. The aggregate lane's panes are where the letters are, so
   * they cannot be lost without them. What a truncate or a new load has made void is not kept: it need not be applied any
   * more either. Throws FenceMoved where another worker has gone on, ConfigurationError when there are too many.
   */
  async keep(event: RefusedEvent, reason: string, around: Surroundings): Promise<void> {
    await this.#transaction(async (client) => {
      await lockLetters(client, this.#pipeline.name);
      if (await this.#isVoid(client, event.position)) return;
      await this.#assertNotPassed(client, event.position);
      await this.#assertRoom(client, event, around);
      this.#assertNoFlood(event, around);
      await client.query(
        `insert into sluice.dead_letter (pipeline, lane, position, op, key, reason, commit_us, content) values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (pipeline, lane, position) do update set state = 'waiting', settled_at = null, reason = excluded.reason
           where dead_letter.state = 'replayed' and $2 <> 'aggregate'`,
        [this.#pipeline.name, this.#lane, event.position, event.op, event.key, reason, event.commitUs, JSON.stringify(event.content)],
      );
    });
    this.#tally.keep();
  }

  /** So many events were taken. */
  passed(events: number): void {
    this.#tally.pass(events);
  }

  /** The table was truncated there: what came before it changes nothing any more. Before the destination is told. */
  async voidBelow(position: Position): Promise<void> {
    const of = [this.#pipeline.name, this.#lane, position];
    await this.#transaction(async (client) => {
      await lockLetters(client, this.#pipeline.name);
      await client.query(
        'insert into sluice.void_letters (pipeline, lane, below) values ($1, $2, $3) on conflict (pipeline, lane) do update set below = greatest(void_letters.below, excluded.below)',
        of,
      );
      await client.query('delete from sluice.dead_letter where pipeline = $1 and lane = $2 and position < $3', of);
    });
  }

  /** Up to where a truncate has voided them, by now. */
  async voidedBelow(): Promise<Position | undefined> {
    const { rows } = await this.#query<{ below: Position }>('select below from sluice.void_letters where pipeline = $1 and lane = $2', [this.#pipeline.name, this.#lane]);
    return rows[0]?.below;
  }

  /** Of those at lower positions. */
  async waitingBelow(position: Position): Promise<number> {
    const { rows } = await this.#query<{ waiting: string }>("select count(*) as waiting from sluice.dead_letter where pipeline = $1 and lane = $2 and state = 'waiting' and position < $3", [this.#pipeline.name, this.#lane, position]);
    return Number(rows[0]!.waiting);
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

  /** All rows of the destination were written again from a snapshot: what was refused below it is there as the source has it. */
  async rewritten(at: Position): Promise<void> {
    await this.#transaction(async (client) => {
      await lockLetters(client, this.#pipeline.name);
      await client.query('delete from sluice.dead_letter where pipeline = $1 and lane = $2 and position < $3', [this.#pipeline.name, this.#lane, at]);
    });
  }

  /** By a truncate, or because a load that has begun since has what the event changed. */
  async #isVoid(client: Queryable, position: Position): Promise<boolean> {
    const { rows } = await client.query<{ below: Position | null; epoch: string | null }>(
      `select (select below from sluice.void_letters where pipeline = $1 and lane = $2) as below,
              (select epoch from sluice.shard where pipeline = $1 and shard = $1) as epoch`,
      [this.#pipeline.name, this.#lane],
    );
    const { below, epoch } = rows[0]!;
    return (below !== null && position < below) || parsePosition(position).epoch < Number(epoch);
  }

  /**
   * Another worker may have kept the same letter, or had no need to, and gone on. If what became of it is forgotten by now,
   * panes would get the event twice. A fence in another store cannot be asked in this transaction, and need not be: what
   * is replayed into it goes by the event's own version, so twice is as once.
   */
  async #assertNotPassed(client: Queryable, position: Position): Promise<void> {
    const { rows } = await client.query<{ position: Position }>('select position from sluice.fence where pipeline = $1 and lane = $2 for share', [this.#pipeline.name, this.#lane]);
    const fence = rows[0]?.position;
    if (fence !== undefined && fence >= position) throw new FenceMoved(`lane ${this.#lane} of ${this.#pipeline.name}`, `one below ${position}`, fence);
  }

  /** While little comes, segments have a few events each: their budgets alone would let every event be refused. */
  #assertNoFlood({ key }: RefusedEvent, { events }: Surroundings): void {
    const { passed, kept } = this.#tally;
    const all = Math.round(passed + kept + events);
    const budget = this.#budgetOf(all);
    if (kept < budget) return;
    // it begins anew when it is resumed
    this.#tally.forget();
    throw this.#flood(`more than ${budget} of its last ${all} events at most`, key);
  }

  #budgetOf(events: number): number {
    const { deadLetterRows, deadLetterPercent } = this.#pipeline.settings;
    return Math.max(deadLetterRows, Math.floor((events * deadLetterPercent) / 100));
  }

  #flood(many: string, key: string | null): ConfigurationError {
    const { name, settings } = this.#pipeline;
    return new ConfigurationError(
      `Lane ${this.#lane}: its destination refuses ${many} for their content (deadLetterRows ${settings.deadLetterRows}, deadLetterPercent ${settings.deadLetterPercent}; the last one has the key ${key}), so the fault is hardly in single rows. See the reasons with ./sluice dlq list ${name} --lane ${this.#lane}, mend what refuses them, ${this.#goOn}.`,
    );
  }

  get #goOn(): string {
    return `type ./sluice resume ${this.#pipeline.name} --lane ${this.#lane}, and then ./sluice dlq replay ${this.#pipeline.name}`;
  }

  async #assertRoom(client: Queryable, { position, key }: RefusedEvent, { from, to, events }: Surroundings): Promise<void> {
    const { name, settings } = this.#pipeline;
    const budget = this.#budgetOf(events);
    const { rows } = await client.query<{ here: string; waiting: string; all: string }>(
      `select count(*) filter (where lane = $2 and state = 'waiting' and position > $3 and position <= $4) as here, count(*) filter (where state = 'waiting') as waiting, count(*) as all
       from sluice.dead_letter where pipeline = $1 and (lane, position) <> ($2, $5)`,
      [name, this.#lane, from, to, position],
    );
    const { here, waiting, all } = { here: Number(rows[0]!.here), waiting: Number(rows[0]!.waiting), all: Number(rows[0]!.all) };
    if (here >= budget) throw this.#flood(`more than ${budget} of the ${events} events of a segment`, key);
    if (waiting >= settings.deadLettersKept) {
      throw new ConfigurationError(
        `Lane ${this.#lane}: its destination refuses the event with the key ${key} for its content, and ${name} keeps ${waiting} dead letters already (deadLettersKept ${settings.deadLettersKept}). Look at them with ./sluice dlq list ${name}, replay or drop some, and ${this.#goOn}.`,
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

/** A load begins, after its epoch was taken: it will have what the letters speak of, so none of them may be replayed beside it (E28). */
export async function voidLetters(client: Queryable, pipeline: string): Promise<void> {
  await lockLetters(client, pipeline);
  for (const table of ['dead_letter', 'live_rebuild']) await client.query(`delete from sluice.${table} where pipeline = $1`, [pipeline]);
}

/** One at a time: or two lanes could both take the last place, and a letter could be written just after those like it were voided. */
async function lockLetters(client: Queryable, pipeline: string): Promise<void> {
  await client.query("select pg_advisory_xact_lock(hashtextextended('sluice.dead_letter ' || $1::text, 0))", [pipeline]);
}
