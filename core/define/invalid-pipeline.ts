/** A definition that cannot run, with every reason that was found. */
export class InvalidPipeline extends Error {
  override readonly name = 'InvalidPipeline';
  readonly problems: readonly string[];
  constructor(pipeline: string, problems: readonly string[]) {
    super(
      `The definition of pipeline ${JSON.stringify(pipeline)} cannot be used:\n${problems.map((problem) => `  ${problem}\n`).join('')}Mend it in pipelines/ and start again.`,
    );
    this.problems = problems;
  }
}

/** Names become part of slots, tables, keys and workflow ids. */
export function nameProblems(what: string, names: readonly string[]): string[] {
  return names
    .filter((name) => !/^[a-z][a-z0-9_]{0,39}$/.test(name))
    .map((name) => `${what} ${JSON.stringify(name)}: a name is a lower-case letter, then up to 39 of a-z, 0-9 and _`);
}
