import { createRequire } from 'node:module';
import { join } from 'node:path';

/**
 * Runs as a process of its own: ClickHouse's command line out of chdb's library. Its query opens the network ports and
 * then sleeps for ever. It needs a thread of its own, as it never returns.
 */
const [folder, library, data, httpPort, tcpPort] = process.argv.slice(2) as [string, string, string, string, string];

const { DataType, load, open } = createRequire(join(folder, 'package.json'))('ffi-rs') as Ffi;

const forever = `SELECT sleepEachRow(3) FROM numbers(1000000000000) FORMAT Null
  SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0, max_execution_time = 0`;
const commandLine = [
  'clickhouse',
  `--path=${data}`,
  `--config-file=${join(import.meta.dirname, 'clickhouse.xml')}`,
  '--listen_host=127.0.0.1',
  `--http_port=${httpPort}`,
  `--tcp_port=${tcpPort}`,
  '--multiquery',
  '--query',
  `SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; ${forever}`,
];

open({ library: 'chdb', path: library });
setInterval(() => {}, 0x7fff_ffff); // the server's thread alone does not keep Node alive
await load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType['External'],
  paramsType: [DataType['I32'], DataType['StringArray']],
  paramsValue: [commandLine.length, commandLine],
  runInNewThread: true,
});
console.error('ClickHouse ended by itself; its messages, if any, are above.');
process.exit(1);

type Ffi = {
  DataType: Record<string, number>;
  open(library: { library: string; path: string }): void;
  load(call: Record<string, unknown>): Promise<unknown>;
};
