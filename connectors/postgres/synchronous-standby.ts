import { ConfigurationError } from '../sink.ts';
import { captureApplicationName } from './replication-stream.ts';

/**
 * E7: a source whose synchronous_standby_names matches our walsender would let each of its commits wait for what we
 * confirm, which is what our sinks have durably. https://www.postgresql.org/docs/18/runtime-config-replication.html
 */
export function assertNotSynchronous(pipeline: string, standbyNames: string): void {
  const matching = namesIn(standbyNames).find((name) => name === '*' || name.toLowerCase() === captureApplicationName(pipeline).toLowerCase());
  if (matching === undefined) return;
  throw new ConfigurationError(
    `The source has synchronous_standby_names = ${JSON.stringify(standbyNames)}, and ${matching} in it matches the connection of pipeline ${pipeline} (${captureApplicationName(pipeline)}): every commit there would wait for this pipeline's sinks.`,
    { mend: { lead: 'Name the real standbys in it, in the source: ', type: `ALTER SYSTEM SET synchronous_standby_names = '...'; SELECT pg_reload_conf(); then type ./sluice resume ${pipeline}` } },
  );
}

/** Also of `FIRST 2 (a, b)` and `ANY 1 ("a b", *)`: what stands before the bracket cannot match us. */
function namesIn(list: string): string[] {
  return [...list.matchAll(/"((?:[^"]|"")*)"|[^\s,()"]+/g)].map(([plain, quoted]) => quoted?.replaceAll('""', '"') ?? plain);
}
