import { createServer } from 'node:net';
import { BadInput } from '../../core/bad-input.ts';
import type { PortName, Ports } from '../embedded/service.ts';

const order: readonly PortName[] = [
  'postgres',
  'redis',
  'clickhouse',
  'clickhouseTcp',
  'temporal',
  'temporalUi',
  'api',
  'worker',
  'receiver',
  'temporalMetrics',
];

/** The ten ports of an instance follow each other. */
export function portsFrom(base: number): Ports {
  if (!Number.isInteger(base) || base < 1024 || base + order.length - 1 > 65_535) {
    throw new BadInput(`--port-base ${base} cannot be used: it is a number from 1024 to ${65_535 - order.length + 1}.`);
  }
  return Object.fromEntries(order.map((name, offset) => [name, base + offset])) as Ports;
}

/** Throws PortInUse if any of them is taken. `instead`: what to type then. */
export async function checkPorts(ports: Ports, names: readonly PortName[], instead: string): Promise<void> {
  const taken: PortName[] = [];
  for (const name of names) if (!(await isFree(ports[name]))) taken.push(name);
  if (taken.length > 0) throw new PortInUse(ports, taken, instead);
}

export class PortInUse extends BadInput {
  override readonly name = 'PortInUse';
  constructor(ports: Ports, taken: readonly PortName[], instead: string) {
    const list = taken.map((name) => `  ${ports[name]}   wanted for ${name}`).join('\n');
    super(
      `Another program listens on ${taken.length === 1 ? 'a port' : 'ports'} that this instance needs. Nothing was started.\n` +
        `${list}\nStop that program (see: ss -ltnp), or choose other ports:\n  ${instead}`,
    );
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(false) : reject(error),
    );
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
