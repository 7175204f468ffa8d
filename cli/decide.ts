import { defineCommand } from 'citty';
import { decideMigration, listMigrations } from '../client/migrations.ts';
import { BadInput } from '../core/bad-input.ts';
import type { Decision } from '../core/migration/plan.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { behind } from './migrations.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

/** `./sluice approve` and `./sluice reject`. */
export function decisionCommand(decision: Decision, description: string) {
  return defineCommand({
    meta: { name: decision, description },
    args: {
      name: pipelineArg,
      number: { type: 'string', valueHint: 'N', description: 'Of the migration; by default the one that waits' },
      json: { type: 'boolean', description: 'As JSON' },
      ...dataArg,
    },
    async run({ args }) {
      const name = pipelineName(decision, args.name);
      const number = args.number === undefined ? undefined : Number(args.number);
      if (number !== undefined && !(Number.isInteger(number) && number > 0)) throw new BadInput(`--number ${args.number} is not the number of a migration. See: ./sluice migrations ${name}`);
      const config = instanceConfig(args);
      const status = await decideMigration(config, name, decision, number);
      if (args.json) console.log(JSON.stringify(status, undefined, 2));
      else console.log([`${name}: migration ${status.number} is ${status.state}; see ./sluice migrations ${name}`, ...behind(name, await listMigrations(config, name), status.number)].join('\n'));
    },
  });
}
