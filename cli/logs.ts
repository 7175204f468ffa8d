import { existsSync, readdirSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import { BadInput } from '../core/bad-input.ts';
import { logText } from '../infra/supervisor/log-text.ts';
import { linesOf } from '../infra/supervisor/wait.ts';
import { dataArg, dataDirOf } from './instance.ts';

export default defineCommand({
  meta: { name: 'logs', description: 'The end of the logs, of one service or of all' },
  args: {
    service: {
      type: 'positional',
      required: false,
      description: 'postgres, redis, clickhouse, temporal, worker, api, ...',
    },
    follow: { type: 'boolean', description: 'Go on with what is written from now on' },
    json: { type: 'boolean', description: 'Lines as they are in the file' },
    lines: { type: 'string', default: '50', description: 'How many lines' },
    ...dataArg,
  },
  async run({ args }) {
    const lines = Number(args.lines);
    if (!Number.isInteger(lines) || lines < 1) throw new BadInput(`--lines ${args.lines} is not a positive whole number. For example: ./sluice logs worker --lines 50`);
    const text = args.json ? (line: string) => line : logText;
    const files = logFiles(join(dataDirOf(args), 'logs'), args.service);
    const ends = files.map((file) => statSync(file).size);
    for (const file of files) {
      if (files.length > 1) console.log(`==> ${basename(file, '.log')}`);
      console.log(linesOf(file).slice(-lines).map(text).join('\n'));
    }
    if (!args.follow) return;
    process.stdout.once('error', () => process.exit()); // nobody reads any more
    await Promise.all(files.map((file, at) => follow(file, ends[at]!, (line) => text(line).replace(/^/gm, files.length > 1 ? `${basename(file, '.log').padEnd(12)} ` : ''))));
  },
});

function logFiles(folder: string, service: string | undefined): string[] {
  if (!existsSync(folder)) throw new Error(`There are no logs in ${folder}. Start an instance with: ./sluice up`);
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.log'))
    .toSorted();
  if (service === undefined) return names.map((name) => join(folder, name));
  if (names.includes(`${service}.log`)) return [join(folder, `${service}.log`)];
  throw new BadInput(
    `There is no log of ${service}. There is one of: ${names.map((name) => basename(name, '.log')).join(', ')}`,
  );
}

async function follow(path: string, from: number, text: (line: string) => string): Promise<never> {
  let position = from;
  for (let rest = ''; ; await sleep(200)) {
    const file = await open(path);
    const { size } = await file.stat();
    if (size < position) position = 0; // a new file took its place
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - position), 0, size - position, position);
    await file.close();
    position += bytesRead;
    const lines = (rest + buffer.toString('utf8', 0, bytesRead)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) console.log(text(line));
  }
}
