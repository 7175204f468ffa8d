import { pino, stdSerializers, type Logger as PinoLogger } from 'pino';
import { Runtime as TemporalRuntime, type Logger, type LogLevel } from '@temporalio/worker';

export type Log = PinoLogger;

export function openLog(level: string): Log {
  return pino({ level, base: { pid: process.pid }, serializers: { error: stdSerializers.err, err: stdSerializers.err } });
}

/** Lets Temporal's own messages come through the same logger; what it says of each worker's state only at debug. */
export function installTemporalLog(log: Log): void {
  const write = (level: LogLevel, message: string, meta?: object) => {
    const line = meta ?? {};
    if (level === 'ERROR') log.error(line, message);
    else if (level === 'WARN') log.warn(line, message);
    else log.debug(line, message);
  };
  const logger: Logger = {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
  TemporalRuntime.install({ logger, shutdownSignals: [], telemetryOptions: { logging: { forward: {}, filter: { core: 'WARN', other: 'ERROR' } } } });
}
