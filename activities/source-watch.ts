import { Client } from 'pg';
import { keptAlive } from '../connectors/postgres/keep-alive.ts';
import { leave } from '../connectors/postgres/leave.ts';
import { readSlotLooks } from '../connectors/postgres/slot-look.ts';
import { patient } from '../connectors/postgres/state/state.ts';
import type { Settings } from '../core/pipeline.ts';
import { SlotAlarmChanges } from '../core/slot-alarm.ts';
import { SlotHistory, slotGone, type SlotForecast } from '../core/slot-forecast.ts';
import type { Runtime } from './runtime.ts';

/** For each thing that is asked, or none would be looked at any more. */
const answerMs = 3_000;

/** `forecast`: of the last look; undefined: the pipeline has no slot. */
type Seen = { readonly history: SlotHistory; readonly changes: SlotAlarmChanges; forecast: SlotForecast | undefined };
/** As the state database knows it. */
type Stream = { readonly streaming: boolean; readonly spoolBytes: number };

/**
 * Looks at the slots of all pipelines every few seconds, whatever these do: one that is paused, parked or waits for
 * Temporal keeps WAL too. What it sees is told to everybody, and `onAlarm` when the alarm changes.
 */
export class SourceWatch {
  readonly #runtime: Pick<Runtime, 'config' | 'state' | 'declared'>;
  readonly #seen: ReadonlyMap<string, Seen>;
  readonly #onAlarm: (pipeline: string, forecast: SlotForecast) => void;
  readonly #timer: NodeJS.Timeout;
  #streams: ReadonlyMap<string, Stream> = new Map();
  #client: Client | undefined;
  #looking: Promise<void> | undefined;

  constructor(runtime: Pick<Runtime, 'config' | 'state' | 'declared'>, pipelines: readonly string[], onAlarm: (pipeline: string, forecast: SlotForecast) => void, everyMs = 5_000) {
    this.#runtime = runtime;
    this.#seen = new Map(pipelines.map((name) => [name, { history: new SlotHistory(), changes: new SlotAlarmChanges(), forecast: undefined }]));
    this.#onAlarm = onAlarm;
    this.#timer = setInterval(() => void this.look(), everyMs);
    this.#timer.unref();
  }

  /** By pipeline, as of the last look; those without a slot are missing. */
  get forecasts(): readonly (readonly [pipeline: string, forecast: SlotForecast])[] {
    return [...this.#seen].flatMap(([name, { forecast }]) => (forecast ? [[name, forecast] as const] : []));
  }

  /** Never fails: while source or state are away, the capture and the lanes say so. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(() => this.#disconnect())
      .finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#disconnect();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const now = performance.now();
    // before the slots: one that is dropped with its pipeline was not lost
    this.#streams = await this.#readStreams().catch(() => this.#streams);
    const looks = await readSlotLooks(await this.#source(), [...this.#seen.keys()], now);
    for (const [name, seen] of this.#seen) {
      const look = looks.get(name);
      const stream = this.#streams.get(name);
      const settings = this.#settings(name);
      if (look && settings) seen.forecast = seen.history.add(look, { ...settings, spoolBytes: stream?.spoolBytes ?? 0 });
      else seen.forecast = !look && stream?.streaming ? slotGone : undefined;
      if (seen.forecast && seen.changes.changed(seen.forecast.alarm, now)) this.#onAlarm(name, seen.forecast);
    }
    await this.#tell();
  }

  async #readStreams(): Promise<ReadonlyMap<string, Stream>> {
    const { rows } = await this.#runtime.state.query<{ pipeline: string; streaming: boolean; spool: string | null }>(patient(answerMs, {
      name: 'sluice streams',
      text: `select pipeline, shard.state = 'streaming' and destroyed.pipeline is null as streaming, (select detail ->> 'spoolBytes' from sluice.progress where progress.pipeline = shard.pipeline and part = 'capture') as spool
               from sluice.shard left join sluice.destroyed using (pipeline)`,
    }));
    return new Map(rows.map(({ pipeline, streaming, spool }) => [pipeline, { streaming, spoolBytes: Number(spool ?? 0) }]));
  }

  async #tell(): Promise<void> {
    const { forecasts } = this;
    await this.#runtime.state.query(patient(answerMs, {
      name: 'sluice source watch',
      text: `insert into sluice.progress (pipeline, part, detail) select pipeline, 'source', detail from unnest($1::text[], $2::jsonb[]) as seen (pipeline, detail)
              where not exists (select from sluice.destroyed where destroyed.pipeline = seen.pipeline)
             on conflict (pipeline, part) do update set detail = excluded.detail, reported_at = now()`,
      values: [forecasts.map(([name]) => name), forecasts.map(([, slot]) => JSON.stringify({ slot }))],
    }));
  }

  /** Undefined while the environment lacks something that the pipeline needs: its own steps say so. */
  #settings(name: string): Settings | undefined {
    try {
      return this.#runtime.declared(name).settings;
    } catch {
      return undefined;
    }
  }

  async #source(): Promise<Client> {
    if (this.#client) return this.#client;
    const client = new Client({ connectionString: this.#runtime.config.sourceUrl, application_name: 'sluice source watch', connectionTimeoutMillis: answerMs, query_timeout: answerMs, ...keptAlive });
    // E7: a server that shuts down is let go, and asked again when it is back
    client.on('error', () => this.#client === client && this.#disconnect());
    await client.connect();
    return (this.#client = client);
  }

  #disconnect(): void {
    if (this.#client) void leave(this.#client);
    this.#client = undefined;
  }
}
