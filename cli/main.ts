import { join } from 'node:path';
import { type CommandDef, defineCommand, runCommand, runMain } from 'citty';
import { BadInput } from '../core/bad-input.ts';
import { definitionMistake } from '../core/define/definition-mistake.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import { strict } from './strict.ts';
import { showUsageOf } from './usage.ts';

/** Every command is the file of its name, loaded when it is used. */
const commands = ['init', 'doctor', 'up', 'down', 'apply', 'destroy', 'status', 'logs', 'pause', 'resume', 'load', 'verify', 'backfill', 'repair', 'reconcile', 'migrations', 'approve', 'reject', 'recover', 'dlq', 'bench', 'chaos', 'soak', 'outage', 'test'];

/** citty's errors of what was typed. */
const missingArgument = 'EARG';
const typedCodes = ['E_UNKNOWN_COMMAND', 'E_NO_COMMAND', missingArgument];

const main = defineCommand({
  meta: { name: './sluice', description: 'Postgres change streams into windows and rows, run by Temporal' },
  subCommands: Object.fromEntries(commands.map((name) => [name, async () => strict(await load(name))])),
});

async function load(name: string): Promise<CommandDef> {
  return ((await import(join(import.meta.dirname, `${name}.ts`))) as { default: CommandDef }).default;
}

// Whoever read our output may be gone (`| head`, a closed terminal): no reason to drop what is being started.
process.stdout.on('error', () => {});

const rawArgs = process.argv.slice(2);
try {
  if (rawArgs.length === 0 || rawArgs.includes('--help') || rawArgs.includes('-h')) {
    // citty answers with a stack what it cannot load
    for (const name of commands.filter((each) => !commands.includes(rawArgs[0]!) || each === rawArgs[0])) await load(name);
    await runMain(main, { rawArgs: rawArgs.length === 0 ? ['--help'] : rawArgs, showUsage: showUsageOf(main) });
  } else await runCommand(main, { rawArgs });
} catch (thrown) {
  // most commands load every definition
  const error = definitionMistake(thrown, checkout) ?? thrown;
  const known = error instanceof Error && process.env['SLUICE_LOG_LEVEL'] !== 'debug';
  console.error(known ? error.message : error);
  const { code = '' } = error as { code?: string };
  const words = rawArgs.slice(0, rawArgs[0] === 'dlq' ? 2 : 1).join(' ');
  if (code === 'E_UNKNOWN_COMMAND' || code === 'E_NO_COMMAND') console.error(`See the commands with: ./sluice ${rawArgs[0] === 'dlq' ? 'dlq ' : ''}--help`);
  else if (code === missingArgument) console.error(`See: ./sluice ${words} --help`);
  // 1 is an answer of some commands (verify: unequal)
  process.exitCode = error instanceof BadInput || typedCodes.includes(code) ? 2 : 1;
}
