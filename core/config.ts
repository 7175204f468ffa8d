import { z } from 'zod';
import { heartbeats } from './heartbeat.ts';

/**
 * Every environment variable that Sluice reads, once. `sluice up` fills them in for the processes it starts; a process
 * run by itself (a worker on another machine) takes them from its own environment. Help and docs are made from this.
 */
export const settings = {
  dataDir: setting('SLUICE_DATA', z.string().default('.sluice/data'), 'Directory of the instance: data, spool, logs.'),
  portBase: setting('SLUICE_PORT_BASE', port(7400), 'First of the ten ports of an instance.'),
  sourceUrl: setting('SLUICE_SOURCE_URL', url('postgres', 'postgresql'), 'PostgreSQL whose changes are captured.'),
  stateUrl: setting(
    'SLUICE_STATE_URL',
    url('postgres', 'postgresql'),
    'PostgreSQL of panes, outbox, fences and results.',
  ),
  redisUrl: setting('SLUICE_REDIS_URL', url('redis', 'rediss'), 'Redis or Valkey.'),
  clickhouseUrl: setting('SLUICE_CLICKHOUSE_URL', url('http', 'https'), 'ClickHouse, HTTP interface.'),
  temporalAddress: setting('TEMPORAL_ADDRESS', z.string(), 'Temporal frontend, host:port.'),
  temporalNamespace: setting('TEMPORAL_NAMESPACE', z.string().default('default'), 'Temporal namespace.'),
  temporalUiUrl: setting('SLUICE_TEMPORAL_UI_URL', url('http', 'https').optional(), 'Temporal Web UI, for links.'),
  heartbeat: setting('SLUICE_HEARTBEAT', z.enum(heartbeats).default('1s'), 'How often steps tell Temporal that they live: 1s, or 10s where its actions cost money.'),
  apiHost: setting('SLUICE_API_HOST', z.string().default('127.0.0.1'), 'Address the API binds to.'),
  apiPort: setting('SLUICE_API_PORT', port(7406), 'Port of the API and the dashboard.'),
  apiToken: setting('SLUICE_API_TOKEN', z.string().optional(), 'Token the API asks for; needed beyond loopback.'),
  workerPort: setting('SLUICE_WORKER_PORT', port(7407), "Port of the worker's health page."),
  receiverPort: setting('SLUICE_RECEIVER_PORT', port(7408), 'Port of the sample external system.'),
  externalUrl: setting('SLUICE_EXTERNAL_URL', url('http', 'https').optional(), 'Where the HTTP sink posts to.'),
  externalSecret: setting('SLUICE_EXTERNAL_SECRET', z.string().startsWith('whsec_').optional(), 'Its signing secret.'),
  httpPrivate: setting('SLUICE_HTTP_PRIVATE', z.stringbool().default(false), 'Whether HTTP sinks may post to addresses that are not public.'),
  logLevel: setting('SLUICE_LOG_LEVEL', z.enum(['debug', 'info', 'warn', 'error']).default('info'), 'Least log level.'),
  killPoints: setting('SLUICE_KILL_POINTS', z.string().optional(), 'Directory through which ./sluice chaos makes a worker die at a named place.'),
  browser: setting('SLUICE_BROWSER', z.string().optional(), 'Chromium of the browser test.'),
} as const;

export type Config = { readonly [K in keyof typeof settings]: z.output<(typeof settings)[K]['schema']> };
export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration out of an environment; an empty variable counts as absent. Throws InvalidConfig. */
export function parseConfig(environment: Environment): Config {
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, { variable, schema, description }] of Object.entries(settings)) {
    const result = schema.safeParse(environment[variable] || undefined);
    if (result.success) config[key] = result.data;
    else if (!environment[variable]) problems.push(`${variable} is not set (${description})`);
    else problems.push(`${variable}: ${result.error.issues.map((issue) => issue.message).join('; ')}`);
  }
  if (problems.length > 0) throw new InvalidConfig(problems);
  return config as Config;
}

/** The other way round: the variables that make another process read this configuration. */
export function toEnvironment(config: Partial<Config>): Record<string, string> {
  const entries = Object.entries(config).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [settings[key as keyof Config].variable, String(value)]));
}

export class InvalidConfig extends Error {
  override readonly name = 'InvalidConfig';
  constructor(problems: readonly string[]) {
    super(
      `The configuration cannot be used:\n${problems.map((problem) => `  ${problem}\n`).join('')}` +
        'Set these variables, or let ./sluice up start everything by itself.',
    );
  }
}

function setting<S extends z.ZodType>(variable: string, schema: S, description: string) {
  return { variable, schema, description };
}

function port(byDefault: number) {
  return z.coerce.number('is not a port').int('is not a port').min(1).max(65_535).default(byDefault);
}

function url(...kinds: readonly string[]) {
  return z.url({
    protocol: new RegExp(`^(${kinds.join('|')})$`),
    error: `is not a URL that begins with ${kinds[0]}://`,
  });
}
