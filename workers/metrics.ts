import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { PartProgress, Progress } from '../activities/progress.ts';
import type { SourceWatch } from '../activities/source-watch.ts';
import type { State } from '../connectors/postgres/state/state.ts';
import { slotAlarms, type SlotForecast } from '../core/slot-forecast.ts';
import { reconcileGauges } from './reconcile-gauges.ts';

/** What the parts in this process do, for Prometheus, and what the last reconcile found, wherever it ran; read when somebody asks. */
export function openMetrics(progress: Progress, watch: SourceWatch, state: State): Registry {
  const registry = new Registry();
  // its default, a look at the event loop each 10 ms, is most of what an idle process does
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 200 });
  for (const { name, help, of } of gauges) {
    const gauge = new Gauge({
      name: `sluice_${name}`,
      help,
      labelNames: ['pipeline', 'part'],
      registers: [],
      collect() {
        this.reset();
        for (const part of progress.parts()) {
          const value = of(part);
          if (value !== undefined) this.set({ pipeline: part.pipeline, part: part.name }, value);
        }
      },
    });
    registry.registerMetric(gauge);
  }
  for (const { name, help, of } of slotGauges) {
    const gauge = new Gauge({
      name: `sluice_${name}`,
      help,
      labelNames: ['pipeline'],
      registers: [],
      collect() {
        this.reset();
        for (const [pipeline, forecast] of watch.forecasts) {
          const value = of(forecast);
          if (value !== null) this.set({ pipeline }, value);
        }
      },
    });
    registry.registerMetric(gauge);
  }
  for (const gauge of reconcileGauges(state)) registry.registerMetric(gauge);
  return registry;
}

const gauges: readonly { readonly name: string; readonly help: string; readonly of: (part: PartProgress) => number | undefined }[] = [
  { name: 'events_total', help: 'Events applied (capture: spooled) by this process', of: ({ events }) => events },
  { name: 'late_events_total', help: 'Events that came after their window was final', of: ({ late, name }) => (name === 'aggregate' ? late : undefined) },
  { name: 'retracted_panes_total', help: 'Closed panes that lost a min or max, which a repair computes anew', of: ({ retracted, name }) => (name === 'aggregate' ? retracted : undefined) },
  { name: 'windows_closed_total', help: 'Windows whose result was computed', of: ({ windowsClosed, name }) => (name === 'aggregate' ? windowsClosed : undefined) },
  { name: 'lag_seconds', help: 'From commit in the source to applied, of the newest transaction; once no step of the part runs here, since the commit of that transaction', of: (part) => lagSeconds(part, Date.now()) },
  { name: 'watermark_seconds', help: 'Event time before which nothing is expected any more, since 1970', of: ({ watermarkMs }) => (watermarkMs === undefined ? undefined : watermarkMs / 1000) },
  { name: 'slot_lag_bytes', help: 'WAL that the source keeps for this pipeline', of: ({ slotLagBytes }) => slotLagBytes },
  { name: 'spool_bytes', help: 'Size of the spool', of: ({ spoolBytes }) => spoolBytes },
  { name: 'dead_letters', help: 'Events that the destination refused for their content, and that wait to be replayed', of: ({ deadLetters }) => deadLetters },
  { name: 'step_running', help: '1 while a step of this part runs here', of: ({ active }) => (active ? 1 : 0) },
  { name: 'failing', help: '1 if the last attempt failed', of: ({ error }) => (error === undefined ? 0 : 1) },
];

/** What stands still falls behind, whoever is to blame: without a step nobody measures it. */
export function lagSeconds({ active, lagMs, commitTimeMs }: Pick<PartProgress, 'active' | 'lagMs' | 'commitTimeMs'>, nowMs: number): number | undefined {
  if (lagMs === undefined) return undefined;
  return (active || commitTimeMs === undefined ? lagMs : Math.max(lagMs, nowMs - commitTimeMs)) / 1000;
}

const slotGauges: readonly { readonly name: string; readonly help: string; readonly of: (forecast: SlotForecast) => number | null }[] = [
  { name: 'slot_alarm', help: 'How near the source is to the end of what it can keep for the slot: 0 none, 1 warning (an hour), 2 critical (ten minutes), 3 lost', of: ({ alarm }) => slotAlarms.indexOf(alarm) },
  { name: 'slot_kept_bytes', help: 'WAL that the source keeps for the slot, from its restart_lsn on', of: ({ keptBytes }) => keptBytes },
  { name: 'slot_left_bytes', help: 'WAL that may still be written until the limit of the slot is reached', of: ({ leftBytes }) => leftBytes },
  { name: 'slot_left_seconds', help: 'Time until the limit of the slot or of the spool is reached, if nothing changes; missing: it is not going there', of: ({ leftSeconds }) => leftSeconds },
  { name: 'source_wal_bytes_per_second', help: 'How fast the source writes WAL', of: ({ walBytesPerSecond }) => walBytesPerSecond },
];
