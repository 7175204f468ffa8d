import { join } from 'node:path';
import { toEnvironment } from '../../core/config.ts';
import type { Command, StopStep } from '../embedded/service.ts';
import { Child } from './child.ts';
import { identify } from './identity.ts';
import { removeInstance, writeInstance } from './instance.ts';
import type { Plan } from './plan.ts';

/** The running processes of an instance; keeps `instance.json` true to them. */
export class Roster {
  readonly #children: Child[] = [];
  readonly #plan: Plan;
  readonly #report: (line: string) => void;
  #ready = false;

  constructor(plan: Plan, report: (line: string) => void) {
    this.#plan = plan;
    this.#report = report;
    this.#save();
  }

  add(name: string, stop: readonly StopStep[], prepare: () => Promise<Command>): Child {
    const logFile = join(this.#plan.config.dataDir, 'logs', `${name}.log`);
    const listener = { changed: () => this.#save(), report: this.#report };
    const child = new Child({ name, logFile, stop, prepare, listener });
    this.#children.push(child);
    return child;
  }

  /** Throws when nothing of that name was ever added. */
  child(name: string): Child {
    const child = this.#children.findLast((each) => each.name === name);
    if (!child) throw new Error(`There is no process ${name}; there are ${this.#children.map((each) => each.name).join(', ')}.`);
    return child;
  }

  ready(): void {
    this.#ready = true;
    this.#save();
  }

  /** Sluice's own processes one after the other, the last started first; then the services, at once. */
  async stop(): Promise<void> {
    const services = new Set<string>(this.#plan.embedded.map((service) => service.name));
    const failures: unknown[] = [];
    const stop = (child: Child) => child.stop().catch((error: unknown) => failures.push(error));
    for (const child of this.#children.toReversed()) if (!services.has(child.name)) await stop(child);
    await Promise.all(this.#children.filter((child) => services.has(child.name)).map(stop));
    if (failures.length > 0) throw failures[0];
    removeInstance(this.#plan.config.dataDir);
  }

  #save(): void {
    const { config, own } = this.#plan;
    writeInstance(config.dataDir, {
      supervisor: identify(process.pid)!,
      ready: this.#ready,
      portBase: config.portBase,
      own,
      environment: toEnvironment(config),
      processes: this.#children.flatMap(({ name, identity, stopSteps }) =>
        identity ? [{ name, ...identity, stop: stopSteps }] : [],
      ),
    });
  }
}
