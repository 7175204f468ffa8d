import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

/** What `confirm` returns, and what it said, to whom each answer is typed once it asks. */
async function confirmed(...answers: string[]): Promise<{ answer: unknown; said: string }> {
  const program = `const { confirm } = await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, 'ask.ts')).href)}); console.log(JSON.stringify(await confirm('Do it?')));`;
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', program]);
  let [answer, said] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (answer += text.toString()));
  child.stderr.on('data', (text: Buffer) => {
    const asked = said.split('[Y/n]: ').length;
    said += text.toString();
    if (said.split('[Y/n]: ').length > asked && answers.length > 0) child.stdin.write(`${answers.shift()}\n`);
  });
  await once(child, 'close');
  return { answer: answer === '' ? undefined : JSON.parse(answer), said };
}

test.each([
  [[''], true],
  [['YES'], true],
  [['n'], false],
  [['No '], false],
  [['1', 'maybe', 'y'], true],
  [['1', 'n'], false],
])('%j is %j, and what is neither is asked again', async (answers, answer) => {
  const others = answers.slice(0, -1);
  const told = await confirmed(...answers);
  expect(told.answer).toBe(answer);
  expect(told.said.split('Do it? [Y/n]: ')).toHaveLength(answers.length + 1);
  for (const other of others) expect(told.said).toContain(`${other} is neither yes nor no: y or n.\n`);
});
