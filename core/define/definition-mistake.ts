import { BadInput } from '../bad-input.ts';

/** What was thrown while the files of pipelines/ were loaded, with the file and the line that a person is to mend. */
class DefinitionMistake extends BadInput {
  override readonly name = 'DefinitionMistake';
}

/**
 * What was thrown, as a mistake in a definition; undefined if it comes from nothing in pipelines/. `checkout`: the folder that
 * pipelines/ lies in. The place is the first one there that the stack names, for definitions are evaluated while they are loaded.
 */
export function definitionMistake(thrown: unknown, checkout: string): BadInput | undefined {
  if (!(thrown instanceof Error)) return undefined;
  // where V8 itself refuses a file, the stack has no place
  const place = placeOf(thrown, checkout) ?? (isUnreadable(thrown) ? 'A file in pipelines/' : undefined);
  if (place === undefined) return undefined;
  return new DefinitionMistake(`${place}: ${thrown.message}\nMend it there; what else the compiler finds wrong: npm run types`, { cause: thrown });
}

function placeOf(error: Error, checkout: string): string | undefined {
  // addresses are encoded, the paths in what Node says of a file that it cannot read or find are not
  const folders = [`${checkout}/pipelines/`, `file://${encodeURI(checkout)}/pipelines/`];
  const [first = '', ...lines] = (error.stack ?? '').split('\n');
  const isOfImport = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
  // any other message may name a file for reasons of its own
  const written = isOfImport || folders.some((folder) => first.startsWith(folder)) ? [first] : [];
  for (const line of [...written, ...lines.filter((each) => /^ +at /.test(each))]) {
    const folder = folders.find((each) => line.includes(each));
    const inside = folder === undefined ? '' : line.slice(line.lastIndexOf(folder) + folder.length);
    const [, file, at = ''] = /^(.+?\.[cm]?[jt]s)(?:\?[^:]*)?(:\d+)?/.exec(inside) ?? [];
    if (file !== undefined) return `pipelines/${file}${at}`;
  }
  return undefined;
}

/** Sluice's own files were compiled before: what V8 cannot compile was written since. */
function isUnreadable({ name, stack = '' }: Error): boolean {
  return name === 'SyntaxError' && /^ +at compileSourceTextModule /m.test(stack);
}
