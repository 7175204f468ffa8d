import type { Connection } from '@temporalio/client';

/** Temporal's IndexedValueType. */
const keyword = 2;
const double = 4;
const attributes: Readonly<Record<string, number>> = { SluicePipeline: keyword, SluiceKind: keyword, SluiceState: keyword, SluiceLagSeconds: double };

/** Makes Sluice's search attributes known to a server that lacks them: without them no workflow can start. */
export async function registerSearchAttributes({ operatorService }: Connection, namespace: string): Promise<void> {
  const known = await operatorService.listSearchAttributes({ namespace }).catch(() => undefined);
  if (!known) return; // Temporal Cloud does not say; starting a workflow does
  const missing = Object.entries(attributes).filter(([name]) => !(name in known.customAttributes));
  if (missing.length > 0) await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
}
