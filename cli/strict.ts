import type { ArgsDef, CommandDef } from 'citty';
import { BadInput } from '../core/bad-input.ts';

/** citty ignores options it does not know; a mistyped `--detach` must not start something else instead. */
export function strict(command: CommandDef): CommandDef {
  if (command.subCommands) {
    const subCommands = Object.entries(command.subCommands as Readonly<Record<string, () => Promise<CommandDef>>>);
    return { ...command, subCommands: Object.fromEntries(subCommands.map(([name, load]) => [name, async () => strict(await load())])) };
  }
  return {
    ...command,
    async setup(context) {
      const known = new Map(Object.entries((context.cmd.args ?? {}) as ArgsDef));
      const positionals = [...known.values()].filter((each) => each.type === 'positional').length;
      for (const option of context.rawArgs) {
        if (option === '--') break;
        if (!option.startsWith('-') || option === '-' || /^-\d/.test(option)) continue;
        const name = option.replace(/^--?(no-)?/, '').replace(/=[^]*$/, '');
        if (!known.has(name)) throw new UsageError(`Unknown option ${option}`, known);
      }
      for (const [name, definition] of known) {
        if (definition.type === 'string' && context.args[name] === '')
          throw new UsageError(`--${name} needs a value`, known);
      }
      const extra = context.args._.slice(positionals);
      if (extra.length > 0) throw new UsageError(`Unexpected argument ${extra.join(' ')}`, known);
      await command.setup?.(context);
    },
  };
}

export class UsageError extends BadInput {
  override readonly name = 'UsageError';
  constructor(what: string, known: ReadonlyMap<string, { readonly type?: string }>) {
    const options = [...known].filter(([, { type }]) => type !== 'positional').map(([name]) => `--${name}`);
    super(
      `${what}. ${options.length > 0 ? `The options are ${options.join(', ')}` : 'There are no options'}; see --help.`,
    );
  }
}
