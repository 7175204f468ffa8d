import { classified } from '../connectors/postgres/errors.ts';
import { patient, type State } from '../connectors/postgres/state/state.ts';
import { Tally } from '../core/dead-letters/tally.ts';
import type { Position } from '../core/position.ts';
import type { ReconcileSummary } from '../core/reconcile-report.ts';
import type { SlotForecast } from '../core/slot-forecast.ts';
import { AskedFences } from './asked-fences.ts';

/** What a part of a pipeline is doing now, as others read it in sluice.progress. Times in milliseconds since 1970. */
export type PartDetail = {
  readonly fence: string | null;
  readonly eventsPerSecond: number;
  /** When the newest applied (or captured) transaction was committed. */
  readonly commitTimeMs: number | null;
  /** From commit to applied, of the newest transaction. */
  readonly lagMs: number | null;
  readonly watermarkMs: number | null;
  /** Why the last attempt failed; null after a success. */
  readonly error: string | null;
  /** Dead letters that waited when a step of the lane began, and those it has found since. */
  readonly deadLetters?: number;
  readonly slotLagBytes?: number;
  readonly spoolBytes?: number;
  /** Of the part `source` only, and it says nothing else. */
  readonly slot?: SlotForecast;
  /** Likewise of the part `reconcile`: what the last one found. */
  readonly reconcile?: ReconcileSummary;
};

const writeMs = 1_000;
const idleMs = 5_000;

/** What the parts in this process do, told to everybody else by one statement a second. */
export class Progress {
  readonly #state: State;
  readonly #parts = new Map<string, PartProgress>();
  /** Fences of lanes that run in other processes. */
  readonly #elsewhere = new Map<string, string>();
  readonly #asked = new AskedFences();
  readonly #timer: NodeJS.Timeout;
  #writing: Promise<void> | undefined;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(state: State) {
    this.#state = state;
    this.#timer = setInterval(() => void this.write(), writeMs);
    this.#timer.unref();
  }

  part(pipeline: string, name: string): PartProgress {
    const key = keyOf(pipeline, name);
    let part = this.#parts.get(key);
    if (!part) this.#parts.set(key, (part = new PartProgress(pipeline, name)));
    return part;
  }

  parts(): Iterable<PartProgress> {
    return this.#parts.values();
  }

  forget(pipeline: string): void {
    for (const known of [this.#parts, this.#elsewhere]) for (const key of known.keys()) if (key.startsWith(`${pipeline}/`)) known.delete(key);
  }

  /** What the capture may acknowledge by; undefined: nobody has said. */
  fences(pipeline: string, lanes: readonly string[]): ReadonlyMap<string, Position | undefined> {
    const fence = (key: string) => this.#asked.fence(key, this.#told(key));
    return new Map(lanes.map((lane) => [lane, fence(keyOf(pipeline, lane))]));
  }

  /** What the sinks have said, see AskedFences: instead of what is told in the state database now, which is not known here yet if this process has just begun. */
  async asked(pipeline: string, fences: ReadonlyMap<string, Position | undefined>): Promise<void> {
    await this.write();
    const { rows } = await classified('state database', () => this.#state.query<Told>("select pipeline, part, detail->>'fence' as fence from sluice.progress where pipeline = $1", [pipeline]));
    this.#tell(rows);
    for (const [lane, fence] of fences) this.#asked.asked(keyOf(pipeline, lane), fence, this.#told(keyOf(pipeline, lane)));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.write();
  }

  /** Nothing depends on it, so while the database is away it is left out. */
  write(): Promise<void> {
    this.#writing ??= this.#write()
      .catch(() => {})
      .finally(() => (this.#writing = undefined));
    return this.#writing;
  }

  async #write(): Promise<void> {
    const now = performance.now();
    const due = [...this.#parts.values()].filter((part) => part.isDue(now));
    const captures = [...this.#parts.values()].some(({ name, active }) => active && name === 'capture');
    // what lanes elsewhere have of a stream of which nothing is new here can wait
    if (due.length === 0 && !(captures && now - this.#askedAt >= idleMs)) return;
    this.#askedAt = now;
    const { rows } = await this.#state.query<Told>(patient(writeMs * 10, {
      name: 'sluice progress',
      text: `with written as (
               insert into sluice.progress (pipeline, part, detail) select * from unnest($1::text[], $2::text[], $3::jsonb[]) as told (pipeline, part, detail)
                where not exists (select from sluice.destroyed where destroyed.pipeline = told.pipeline)
               on conflict (pipeline, part) do update set detail = excluded.detail, reported_at = now())
             select pipeline, part, detail->>'fence' as fence from sluice.progress`,
      values: [due.map(({ pipeline }) => pipeline), due.map(({ name }) => name), due.map((part) => JSON.stringify(part.written(now)))],
    }));
    this.#tell(rows);
  }

  #tell(rows: readonly Told[]): void {
    for (const { pipeline, part, fence } of rows) if (fence !== null) this.#elsewhere.set(keyOf(pipeline, part), fence);
  }

  #told(key: string): Position | undefined {
    const here = this.#parts.get(key);
    return (here?.active && here.fence !== undefined ? here.fence : (this.#elsewhere.get(key) ?? here?.fence)) as Position | undefined;
  }
}

type Told = { pipeline: string; part: string; fence: string | null };

function keyOf(pipeline: string, part: string): string {
  return `${pipeline}/${part}`;
}

/** One part in this process. */
export class PartProgress {
  readonly pipeline: string;
  readonly name: string;
  /** A step runs here. */
  active = false;
  fence: string | undefined;
  events = 0;
  late = 0;
  retracted = 0;
  windowsClosed = 0;
  commitTimeMs: number | undefined;
  lagMs: number | undefined;
  watermarkMs: number | undefined;
  error: string | undefined;
  deadLetters: number | undefined;
  readonly tally = new Tally();
  slotLagBytes: number | undefined;
  spoolBytes: number | undefined;
  /** Of the capture, by a clock that does not jump. */
  lastEventMs: number | undefined;
  readonly #rate = new Rate();
  #last = '';
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor(pipeline: string, name: string) {
    this.pipeline = pipeline;
    this.name = name;
  }

  get eventsPerSecond(): number {
    return this.#rate.perSecond;
  }

  /** `commitTimeUs`: of the newest transaction that is applied now. */
  moved(fence: string, events: number, commitTimeUs: number | undefined): void {
    this.fence = fence;
    this.events += events;
    this.error = undefined;
    if (commitTimeUs === undefined) return;
    this.commitTimeMs = commitTimeUs / 1000;
    this.lagMs = Math.max(0, Date.now() - this.commitTimeMs);
  }

  isDue(now: number): boolean {
    this.#rate.sample(this.events, now);
    return this.#news() !== this.#last || (this.active && now - this.#lastAt >= idleMs);
  }

  written(now: number): PartDetail {
    this.#last = this.#news();
    this.#lastAt = now;
    return this.detail();
  }

  /** What is worth a statement. The slot's lag is not: where the state database is in the source's server, each one makes it grow. */
  #news(): string {
    return JSON.stringify({ ...this.detail(), slotLagBytes: undefined });
  }

  detail(): PartDetail {
    return {
      fence: this.fence ?? null,
      eventsPerSecond: this.eventsPerSecond,
      commitTimeMs: this.commitTimeMs ?? null,
      lagMs: this.lagMs === undefined ? null : Math.round(this.lagMs),
      watermarkMs: this.watermarkMs ?? null,
      error: this.error ?? null,
      ...(this.deadLetters === undefined ? {} : { deadLetters: this.deadLetters }),
      ...(this.slotLagBytes === undefined ? {} : { slotLagBytes: this.slotLagBytes }),
      ...(this.spoolBytes === undefined ? {} : { spoolBytes: this.spoolBytes }),
    };
  }
}

const rateMs = 5_000;

/** Events per second over the last seconds. */
class Rate {
  #samples: { total: number; at: number }[] = [];
  perSecond = 0;

  sample(total: number, at: number): void {
    this.#samples.push({ total, at });
    while (this.#samples.length > 2 && this.#samples[1]!.at <= at - rateMs) this.#samples.shift();
    const first = this.#samples[0]!;
    if (at > first.at) this.perSecond = Math.round(((total - first.total) / (at - first.at)) * 10_000) / 10;
  }
}
