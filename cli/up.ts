import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { BadInput } from '../core/bad-input.ts';
import { settings } from '../core/config.ts';
import { checkout, typed } from '../infra/supervisor/checkout.ts';
import { portsFrom } from '../infra/supervisor/ports.ts';
import { type Message, runSupervisor } from '../infra/supervisor/run.ts';
import { linesOf } from '../infra/supervisor/wait.ts';
import { dataArg, dataDirOf } from './instance.ts';

export default defineCommand({
  meta: { name: 'up', description: 'Start everything; Ctrl-C drains and stops it' },
  args: {
    detach: { type: 'boolean', description: 'Return once everything is healthy; stop with `sluice down`' },
    rate: { type: 'string', valueHint: 'N', description: 'Events per second of the load generator; 0 leaves it off' },
    'port-base': { type: 'string', valueHint: 'N', description: 'First of ten ports (7400)' },
    ...dataArg,
  },
  async run({ args }) {
    // neither worker nor API starts with definitions that cannot be loaded
    await import('../client/definitions.ts');
    const options = {
      dataDir: dataDirOf(args),
      portBase: portBaseOf(args['port-base']),
      rate: args.rate === undefined ? undefined : number('--rate', args.rate),
    };
    if (args.detach) await upDetached(options);
    else await runSupervisor({ ...options, tell: inForeground });
    process.exit();
  },
});

type UpOptions = { readonly dataDir: string; readonly portBase: number; readonly rate: number | undefined };

function inForeground(message: Message): void {
  if (message.tag === 'progress') console.log(message.line);
  else if (message.tag === 'ready') console.log(`${message.summary}\nStop with Ctrl-C.`);
  else console.error(message.reason);
}

/** The supervisor as a process of its own; it talks to us until it is ready, then we leave it alone. */
async function upDetached({ dataDir, portBase, rate }: UpOptions): Promise<void> {
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const logFile = join(dataDir, 'logs', 'supervisor.log');
  const log = openSync(logFile, 'a');
  const main = join(checkout, 'infra/supervisor/main.ts');
  const flags = [
    '--data',
    dataDir,
    '--port-base',
    String(portBase),
    ...(rate === undefined ? [] : ['--rate', String(rate)]),
  ];
  const supervisor = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main, ...flags], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => supervisor.kill('SIGTERM'));
  const outcome = await outcomeOf(supervisor);
  if (outcome.tag === 'ready') {
    console.log(`${outcome.summary}\n  Stop             ${typed('down', dataDir)}`);
    if (outcome.sick !== undefined) process.exitCode = 1;
    return;
  }
  process.exitCode = 1;
  console.error(
    outcome.reason ?? `The supervisor ended before anything was up. The end of ${logFile}:\n${linesOf(logFile).slice(-15).join('\n')}`,
  );
}

type Outcome =
  | { readonly tag: 'ready'; readonly summary: string; readonly sick?: string }
  | { readonly tag: 'failed'; readonly reason?: string };

/** A failure is told first; then the supervisor ends, having stopped what it started. */
function outcomeOf(supervisor: ChildProcess): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let failure: Outcome = { tag: 'failed' };
    supervisor.on('message', (message: Message) => {
      if (message.tag === 'progress') console.log(message.line);
      else if (message.tag === 'ready') resolve(message);
      else failure = message;
    });
    supervisor.once('error', reject);
    supervisor.once('close', () => resolve(failure));
  });
}

function portBaseOf(flag: string | undefined): number {
  const { variable, schema } = settings.portBase;
  const base = flag === undefined ? schema.parse(process.env[variable] || undefined) : number('--port-base', flag);
  portsFrom(base);
  return base;
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value;
  throw new BadInput(
    `${option} ${text} is not a number. For example: ./sluice up ${option} ${option === '--rate' ? 100 : 7500}`,
  );
}
