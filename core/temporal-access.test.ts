import { describe, expect, test } from 'vitest';
import { temporalAccess } from './temporal-access.ts';

const access = (environment: Record<string, string>) => temporalAccess({ temporalAddress: 'host:7233' }, environment, (path) => Buffer.from(`read ${path}`));

describe("Temporal's environment variables", () => {
  test.each([
    [{}, { address: 'host:7233' }],
    [{ TEMPORAL_API_KEY: 'key' }, { address: 'host:7233', apiKey: 'key', tls: true }],
    [{ TEMPORAL_API_KEY: 'key', TEMPORAL_TLS: 'false' }, { address: 'host:7233', apiKey: 'key' }],
    [{ TEMPORAL_TLS: 'true' }, { address: 'host:7233', tls: true }],
    [{ TEMPORAL_TLS_SERVER_NAME: 'name' }, { address: 'host:7233', tls: { serverNameOverride: 'name' } }],
    [
      { TEMPORAL_TLS_CLIENT_CERT_PATH: '/crt', TEMPORAL_TLS_CLIENT_KEY_DATA: 'key', TEMPORAL_TLS_SERVER_CA_CERT_PATH: '/ca' },
      { address: 'host:7233', tls: { clientCertPair: { crt: Buffer.from('read /crt'), key: Buffer.from('key') }, serverRootCACertificate: Buffer.from('read /ca') } },
    ],
  ])('%o', (environment, expected) => {
    expect(access(environment)).toEqual(expected);
  });
});
