import type { PortName } from '../embedded/service.ts';
import type { EndpointName } from './endpoints.ts';

/** Sluice's own processes, in the order they are started; they are stopped in the reverse order. */
export const productProcesses: readonly ProductProcess[] = [
  { name: 'receiver', entry: 'infra/receiver/main.ts', endpoint: 'receiver', stopMs: 5_000 },
  { name: 'worker', entry: 'workers/main.ts', prepares: true, endpoint: 'worker', stopMs: 10_000 },
  { name: 'api', entry: 'api/main.ts', endpoint: 'api', stopMs: 5_000 },
];

/** Started last, once the pipelines run. */
export function loadProcess(rate: number): ProductProcess {
  return { name: 'load', entry: 'bench/load/main.ts', args: ['--rate', String(rate)], stopMs: 5_000 };
}

export type ProductProcess = {
  readonly name: string;
  /** Relative to the checkout. */
  readonly entry: string;
  /** Run with `prepare` beside the start of the services, it does what it would have to do first. It does what that has not done. */
  readonly prepares?: boolean;
  readonly args?: readonly string[];
  /** Modules that are loaded before the entry, relative to the checkout. */
  readonly imports?: readonly string[];
  /** Answers under the endpoint of its name once it is ready. */
  readonly endpoint?: EndpointName;
  /** How long a drain may take after SIGTERM. */
  readonly stopMs: number;
};

export const productPorts: readonly PortName[] = ['api', 'worker', 'receiver'];
