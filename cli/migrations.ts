import { defineCommand } from 'citty';
import { isLoaded, listMigrations, withoutMigrations, type ListedMigration } from '../client/migrations.ts';
import { definitionBehind } from '../core/migration/definition-behind.ts';
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
    const config = instanceConfig(args);
    const found = await listMigrations(config, name);
    if (args.json) console.log(JSON.stringify(found, undefined, 2));
    else if (found.length > 0) console.log([...found.map(text), ...behind(name, found)].join('\n'));
    else console.log((await isLoaded(config, name)) ? `${name}: its source's columns have not changed` : withoutMigrations(name));
  },
});

function text({ number, pipeline, state, decision, detected, changes, error, text: plan }: ListedMigration): string {
  const lines = plan?.split('\n') ?? changeLines(pipelines[pipeline]!, changes);
  const next = state === 'waiting' ? [`./sluice approve ${pipeline}, or ./sluice reject ${pipeline}`] : [];
  return [`${number}  ${state}${decision === null ? '' : ` (${decision})`}, ${detected}`, ...[...lines, ...(error === null ? [] : [error]), ...next].map((line) => `   ${line}`)].join('\n');
}

/** What is to be changed in pipelines/ after those that are over, and the one that was decided just now. */
export function behind(name: string, found: readonly ListedMigration[], decided?: number): readonly string[] {
  const followed = found.filter(({ number, state }) => state === 'done' || state === 'unneeded' || number === decided);
  const newer = found.filter(({ number }) => number > (followed[0]?.number ?? 0));
  const oldestFirst = (those: readonly ListedMigration[]) => those.toReversed().map(({ changes }) => changes);
  const says = definitionBehind(pipelines[name]!, oldestFirst(followed), oldestFirst(newer));
  return says === undefined ? [] : [says];
}
