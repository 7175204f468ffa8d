import { readFileSync } from 'node:fs';
import type { Config } from '../core/config.ts';
import type { TemporalFacts } from '../core/doctor.ts';
import { temporalAccess } from '../core/temporal-access.ts';
import { missingSearchAttributes, searchAttributeType } from './search-attributes.ts';
import { withTemporal } from './temporal-connection.ts';

/** What `doctor` asks of Temporal. Throws TemporalUnreachable. */
export function readTemporalFacts(config: Config): Promise<TemporalFacts> {
  return withTemporal(config, (_, connection) =>
    connection.withDeadline(Date.now() + answerMs, async () => {
      const { temporalNamespace: namespace, temporalAddress: address } = config;
      const { serverVersion } = await connection.workflowService.getSystemInfo({});
      const hasNamespace = await connection.workflowService.describeNamespace({ namespace }).then(() => true, isThere);
      const missing = hasNamespace ? await missingSearchAttributes(connection.operatorService, namespace) : [];
      return {
        address,
        host: address,
        version: serverVersion || 'of an unknown version',
        isEncrypted: temporalAccess(config, process.env, readFileSync).tls !== undefined,
        namespace,
        hasNamespace,
        missingAttributes: missing?.map((name) => ({ name, type: searchAttributeType(name) })),
      };
    }),
  );
}

/** An API key may be good for workflows alone: who may not ask is not told that there is none. */
function isThere(error: unknown): boolean {
  return (error as { code?: unknown }).code !== notFound;
}

/** grpc.status.NOT_FOUND */
const notFound = 5;
const answerMs = 5_000;
