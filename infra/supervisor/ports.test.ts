import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { checkPorts, PortInUse, portsFrom } from './ports.ts';

test('ports follow each other', () => {
  expect(portsFrom(7500)).toMatchObject({ postgres: 7500, clickhouseTcp: 7503, api: 7506, temporalMetrics: 7509 });
});

test.each([0, 80, 65_530, 7400.5, Number.NaN])('refuses %d', (base) => {
  expect(() => portsFrom(base)).toThrow(/--port-base .* is a number from 1024 to 65526/);
});

test('a port that is taken is named, with what to type', async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  const ports = { ...portsFrom(7400), redis: port };
  await expect(checkPorts(ports, ['redis'], './sluice up --port-base 7500')).rejects.toThrow(PortInUse);
  await expect(checkPorts(ports, ['redis'], './sluice up --port-base 7500')).rejects.toThrow(new RegExp(`${port} +wanted for redis[^]*--port-base`));
  await new Promise((resolve) => server.close(resolve));
  await checkPorts(ports, ['redis'], './sluice up --port-base 7500');
});
