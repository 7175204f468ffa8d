import { join } from 'node:path';
import { type CommandDef, defineCommand } from 'citty';

const commands = ['list', 'show', 'edit', 'replay', 'drop'];

export default defineCommand({
  meta: { name: 'dlq', description: 'Dead letters: events that a destination refused for their content' },
  subCommands: Object.fromEntries(
    commands.map((name) => [name, async () => ((await import(join(import.meta.dirname, 'dlq', `${name}.ts`))) as { default: CommandDef }).default]),
  ),
});
