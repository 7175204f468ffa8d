import process from 'node:process';
import { pino } from 'pino';
import { InvalidConfig, parseConfig } from '../core/config.ts';
import { CannotListen, startServer } from './server.ts';

try {
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
} catch (error) {
  const known = error instanceof InvalidConfig || error instanceof CannotListen;
  console.error(known ? error.message : error);
  process.exitCode = 1;
}
