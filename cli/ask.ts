import { createInterface } from 'node:readline/promises';
import { BadInput } from '../core/bad-input.ts';
import type { Option, Question } from '../core/init/questions.ts';
import { columns } from './columns.ts';

/** What a question's flag did not say: the suggestion if `yes`, else asked on the terminal, else refused with what to type. */
export async function answer<T>(asked: Question<T>, { yes }: { readonly yes: boolean }): Promise<T> {
  if (asked.tag === 'settled') return asked.value;
  const { text, flag, options, notes } = asked;
  if (yes) return options[0]!.value;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new BadInput([`${text} Say it with ${flag}, for example ${flag} '${options[0]!.typed}' (--yes takes the first of each). There are:`, ...listed(options, () => '  '), ...notes].join('\n'));
  console.error([text, ...listed(options, (index) => `${String(index + 1).padStart(3)}  `), ...notes].join('\n'));
  for (;;) {
    const line = (await typedLine(`${flag.slice(2)} [1]: `)).trim();
    const found = line === '' ? options[0] : (options.find(({ typed }) => typed === line) ?? options[Number(line) - 1]);
    if (found) return found.value;
    console.error(`${line} is none of them: a number from 1 to ${options.length}, or the name.`);
  }
}

/** Asks again until it is told yes or no. */
export async function confirm(text: string): Promise<boolean> {
  for (;;) {
    const line = (await typedLine(`${text} [Y/n]: `)).trim();
    if (/^(y|yes|)$/i.test(line)) return true;
    if (/^(n|no)$/i.test(line)) return false;
    console.error(`${line} is neither yes nor no: y or n.`);
  }
}

/** Throws unless the name is typed. `unasked`: what says it without a terminal. */
export async function typedName(name: string, unasked: string): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new BadInput(`Nobody can be asked here, so nothing was done. Say it with: ${unasked}`);
  const line = (await typedLine(`Type ${name} to do so: `)).trim();
  if (line !== name) throw new BadInput(`${line === '' ? 'Nothing' : line} is not ${name}: nothing was done.`);
}

/** Throws if the terminal is left by Ctrl-C or Ctrl-D. */
async function typedLine(prompt: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const left = Promise.withResolvers<never>();
  left.promise.catch(() => {});
  terminal.once('close', () => left.reject(new Error('Left without an answer; nothing was done.')));
  try {
    return await Promise.race([terminal.question(prompt), left.promise]);
  } finally {
    terminal.close();
  }
}

function listed<T>(options: readonly Option<T>[], mark: (index: number) => string): string[] {
  return columns(options.map(({ typed, about }) => [typed, about])).map((line, index) => `${mark(index)}${line}`);
}
