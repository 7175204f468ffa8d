import { defineCommand } from 'citty';
import { listMigrations, type ListedMigration } from '../client/migrations.ts';
import { changeLines } from '../core/migration/schema-change.ts';
import { pipelines } from '../client/pipelines.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'migrations', description: 'What became of changes of the source tables\' columns, and what waits for approve or reject' },
  args: {
    name: pipelineArg,
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('migrations', args.name);
    const found = await listMigrations(instanceConfig(args), name);
    if (args.json) console.log(JSON.stringify(found, undefined, 2));
    else console.log(found.length === 0 ? `${name}: its source's columns have not changed` : found.map(text).join('\n'));
  },
});

function text({ number, pipeline, state, decision, detected, changes, error, text: plan }: ListedMigration): string {
  const lines = plan?.split('\n') ?? changeLines(pipelines[pipeline]!, changes);
  const next = state === 'waiting' ? [`./sluice approve ${pipeline}, or ./sluice reject ${pipeline}`] : [];
  return [`${number}  ${state}${decision === null ? '' : ` (${decision})`}, ${detected}`, ...[...lines, ...(error === null ? [] : [error]), ...next].map((line) => `   ${line}`)].join('\n');
}
