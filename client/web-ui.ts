import type { Config } from '../core/config.ts';

/** The page of a run in the Temporal Web UI; null when it is not known where that is. */
export function webUiUrl({ temporalUiUrl, temporalNamespace }: Config, workflowId: string): string | null {
  if (temporalUiUrl === undefined) return null;
  return `${temporalUiUrl.replace(/\/$/, '')}/namespaces/${encodeURIComponent(temporalNamespace)}/workflows/${encodeURIComponent(workflowId)}`;
}
