import type { Config } from '../core/config.ts';
import { portsFrom } from '../infra/supervisor/ports.ts';

/** What Temporal Cloud would bill: its server counts the same by type, where a type is a command, a request, or a retry. */
export type Actions = {
  readonly seconds: number;
  readonly count: number;
  readonly byType: Readonly<Record<string, number>>;
  readonly perHour: number;
  readonly perDay: number;
};

/** Counted by the Temporal server of an instance of our own, while `work` is going on. */
export async function actionsOf(config: Pick<Config, 'portBase' | 'temporalNamespace'>, work: () => Promise<unknown>): Promise<Actions> {
  const before = await counted(config);
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  return actionsBetween(before, await counted(config), seconds);
}

type Counts = Readonly<Record<string, number>>;

/** Exported for its test. */
export function actionsBetween(before: Counts, after: Counts, seconds: number): Actions {
  const grown = Object.entries(after).map(([type, count]) => [type, count - (before[type] ?? 0)] as const);
  const byType = Object.fromEntries(grown.filter(([, more]) => more > 0).toSorted(([, a], [, b]) => b - a));
  const count = Object.values(byType).reduce((sum, more) => sum + more, 0);
  return { seconds, count, byType, perHour: Math.round((count / seconds) * 3_600), perDay: Math.round((count / seconds) * 86_400) };
}

/** Out of the server's metrics, of one namespace. Exported for its test. */
export function actionCounts(metrics: string, namespace: string): Counts {
  const counts: Record<string, number> = {};
  for (const [, labels, value] of metrics.matchAll(/^action\{(.*)\} (\S+)$/gm)) {
    const label = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(labels!)?.[1] ?? '';
    if (label('namespace') !== namespace) continue;
    const type = label('action_type');
    counts[type] = (counts[type] ?? 0) + Number(value);
  }
  return counts;
}

async function counted({ portBase, temporalNamespace }: Pick<Config, 'portBase' | 'temporalNamespace'>): Promise<Counts> {
  const url = `http://127.0.0.1:${portsFrom(portBase).temporalMetrics}/metrics`;
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  if (!response.ok) throw new Error(`GET ${url} answered HTTP ${response.status}`);
  return actionCounts(await response.text(), temporalNamespace);
}
