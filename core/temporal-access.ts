import type { Config, Environment } from './config.ts';

/** How to reach Temporal: options that both kinds of its connections take. */
export type TemporalAccess = {
  readonly address: string;
  readonly apiKey?: string;
  readonly tls?: true | TlsDetails;
};
type TlsDetails = { serverNameOverride?: string; serverRootCACertificate?: Buffer; clientCertPair?: { crt: Buffer; key: Buffer } };

/**
 * From Temporal's own environment variables (https://docs.temporal.io/develop/environment-configuration): TEMPORAL_API_KEY,
 * TEMPORAL_TLS, TEMPORAL_TLS_SERVER_NAME, and certificates as TEMPORAL_TLS_{CLIENT_CERT,CLIENT_KEY,SERVER_CA_CERT}_{PATH,DATA}.
 */
export function temporalAccess(config: Pick<Config, 'temporalAddress'>, environment: Environment, readFile: (path: string) => Buffer): TemporalAccess {
  const value = (name: string) => environment[name] || undefined;
  const file = (name: string) => {
    const data = value(`TEMPORAL_TLS_${name}_DATA`);
    const path = value(`TEMPORAL_TLS_${name}_PATH`);
    if (data !== undefined) return Buffer.from(data);
    return path === undefined ? undefined : readFile(path);
  };
  const crt = file('CLIENT_CERT');
  const key = file('CLIENT_KEY');
  const serverRootCACertificate = file('SERVER_CA_CERT');
  const serverNameOverride = value('TEMPORAL_TLS_SERVER_NAME');
  const details: TlsDetails = {
    ...(serverNameOverride === undefined ? {} : { serverNameOverride }),
    ...(serverRootCACertificate ? { serverRootCACertificate } : {}),
    ...(crt && key ? { clientCertPair: { crt, key } } : {}),
  };
  const apiKey = value('TEMPORAL_API_KEY');
  const hasDetails = Object.keys(details).length > 0;
  const wanted = value('TEMPORAL_TLS')?.toLowerCase();
  const isWanted = wanted === undefined ? apiKey !== undefined || hasDetails : ['true', '1'].includes(wanted);
  return {
    address: config.temporalAddress,
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(isWanted ? { tls: hasDetails ? details : true } : {}),
  };
}
