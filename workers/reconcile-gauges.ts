import { Gauge } from 'prom-client';
import type { State } from '../connectors/postgres/state/state.ts';
import type { ReconcileSummary } from '../core/reconcile-report.ts';

type Row = { readonly pipeline: string; readonly reconcile: ReconcileSummary };

/** Of every pipeline the last reconcile that is known. While the state database is away there are none. */
export function reconcileGauges(state: State): readonly Gauge[] {
  const read = sharedRead(state);
  const gauge = (name: string, help: string, labelNames: readonly string[], set: (gauge: Gauge, row: Row) => void) =>
    new Gauge({
      name: `sluice_reconcile_${name}`,
      help,
      labelNames,
      registers: [],
      async collect() {
        this.reset();
        for (const row of await read()) set(this, row);
      },
    });
  return [
    gauge('last_run_seconds', 'When closed windows were last compared with the source, since 1970', ['pipeline'], (each, { pipeline, reconcile }) => each.set({ pipeline }, Date.parse(reconcile.ended) / 1000)),
    gauge('incomplete', '1 if not everything could be compared', ['pipeline'], (each, { pipeline, reconcile }) => each.set({ pipeline }, reconcile.state === 'incomplete' ? 1 : 0)),
    gauge('windows', 'How many closed windows were compared', ['pipeline', 'sink'], (each, { pipeline, reconcile }) => {
      for (const { sink, windows } of reconcile.sinks) each.set({ pipeline, sink }, windows);
    }),
    gauge('windows_different', 'How many of them differ, and were not repaired', ['pipeline', 'sink'], (each, { pipeline, reconcile }) => {
      for (const { sink, different } of reconcile.sinks) each.set({ pipeline, sink }, reconcile.state === 'repaired' ? 0 : different);
    }),
  ];
}

/** All gauges are collected together, and ask once. */
function sharedRead(state: State): () => Promise<readonly Row[]> {
  let reading: Promise<readonly Row[]> | undefined;
  const query = async () => (await state.query<Row>({ text: "select pipeline, detail -> 'reconcile' as reconcile from sluice.progress where part = 'reconcile'" })).rows;
  return () => (reading ??= query().catch(() => []).finally(() => (reading = undefined)));
}
