/** One server that `sluice up` can run by itself. The files beside this one are the four there are. */
export type EmbeddedService = {
  readonly name: ServiceName;
  /** Finds the server's program, fetching it when it is not there. Returns its path (ClickHouse: its folder). */
  find(parts: Parts): Promise<string>;
  /** Makes the data directory ready. Returns what to spawn; called again before each restart. */
  prepare(program: string, place: Place): Promise<Command>;
  /** A real round trip to the server at this address, ours or the user's. Throws while it does not answer. */
  check(url: string): Promise<void>;
  /** How it is asked to stop, gentlest first, each with the time it is given. SIGKILL follows by itself. */
  readonly stop: readonly StopStep[];
};

export type ServiceName = 'postgres' | 'redis' | 'clickhouse' | 'temporal';

export type StopStep = { readonly signal: NodeJS.Signals; readonly waitMs: number };

/** Where one instance keeps its things. */
export type Place = { readonly dataDir: string; readonly ports: Ports; readonly secrets: Secrets };

export type Ports = Readonly<Record<PortName, number>>;
export type PortName =
  | 'postgres'
  | 'redis'
  | 'clickhouse'
  | 'clickhouseTcp'
  | 'temporal'
  | 'temporalUi'
  | 'api'
  | 'worker'
  | 'receiver'
  | 'temporalMetrics';

/** Generated once for an instance. */
export type Secrets = { readonly postgresPassword: string; readonly externalSecret: string };

/** Where programs are kept once fetched, and who is told about it. */
export type Parts = {
  readonly folder: string;
  readonly report: (line: string) => void;
  readonly signal: AbortSignal;
};

export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where it runs; the root of the file system when absent. */
  readonly cwd?: string;
  /** Run as this user instead of the present one. */
  readonly user?: User | undefined;
};

export type User = { readonly uid: number; readonly gid: number };

/** What a server may know of our environment: nothing of the user's PG*, REDIS*, TEMPORAL_* or proxy settings. */
export function cleanEnvironment(home: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: home, LANG: 'C.UTF-8', TZ: 'UTC' };
}
