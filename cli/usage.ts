import { type ArgsDef, type CommandDef, showUsage } from 'citty';

/** citty names a command's parent only; whoever copies the line types all of it. */
export function showUsageOf(main: CommandDef) {
  return <T extends ArgsDef>(command: CommandDef<T>, parent?: CommandDef<T>): Promise<void> => {
    const { name } = (parent?.meta ?? {}) as { name?: string };
    const isNested = parent !== undefined && name !== (main.meta as { name?: string }).name;
    return showUsage(command, isNested ? { ...parent, meta: { name: `./sluice ${name}` } } : parent);
  };
}
