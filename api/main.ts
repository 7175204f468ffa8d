import { join } from 'node:path';
import process from 'node:process';
import { pino } from 'pino';
import { BadInput } from '../core/bad-input.ts';
import { InvalidConfig, parseConfig } from '../core/config.ts';
import { definitionMistake } from '../core/define/definition-mistake.ts';
import { CannotListen } from './cannot-listen.ts';

try {
  // late, for it loads every definition
  const { startServer } = await import('./server.ts');
  const config = parseConfig(process.env);
  const log = pino({ level: config.logLevel, base: { process: 'api' } });
  const server = await startServer(config, log);
  log.info({ url: server.url }, 'the API listens');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'the API drains');
      void server.close().then(() => process.exit(0));
    });
  }
} catch (thrown) {
  const error = definitionMistake(thrown, join(import.meta.dirname, '..')) ?? thrown;
  const known = error instanceof BadInput || error instanceof InvalidConfig || error instanceof CannotListen;
  console.error(known ? error.message : error);
  process.exitCode = 1;
}
