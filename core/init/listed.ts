/** The lines by which pipelines/index.ts knows a pipeline. */
export function listingLines(name: string): readonly [importLine: string, entry: string] {
  const word = importName(name);
  return [`import ${word} from './${name}.ts';`, word === name ? name : `${name}: ${word}`];
}

/** pipelines/index.ts with one more pipeline; undefined if it does not look as it did, and a person must add it. */
export function listedIn(index: string, name: string): string | undefined {
  const [importLine, entry] = listingLines(name);
  if (index.includes(importLine)) return index;
  const record = /^(export const pipelines\b[^\n]*= \{)([^{}]*?),?\s*\};$/m.exec(index);
  const lastImport = [...index.matchAll(/^import [^\n]*;$/gm)].at(-1);
  if (!record || !lastImport || record.index < lastImport.index) return undefined;
  const importEnd = lastImport.index + lastImport[0].length;
  const entries = record[2]!.trim() === '' ? entry : `${record[2]!.trim()}, ${entry}`;
  return `${index.slice(0, importEnd)}\n${importLine}${index.slice(importEnd, record.index)}${record[1]} ${entries} };${index.slice(record.index + record[0].length)}`;
}

/** Words of the language are no names of imports, and the list itself is one. */
function importName(name: string): string {
  const words = 'await break case catch class const continue debugger default delete do else enum eval arguments export extends false finally for function if implements import in instanceof interface let new null package pipelines private protected public return static super switch this throw true try typeof var void while with yield';
  return words.split(' ').includes(name) ? `${name}_pipeline` : name;
}
