import { spawn } from 'node:child_process';
import { onPath } from '../infra/embedded/parts.ts';
import { type Lsn, lsnText } from '../core/position.ts';

/** How many seconds `pg_recvlogical` takes for the same slot and options into /dev/null; undefined where it is not installed. */
export async function receiveByTool(options: { url: string; slot: string; publication: string; end: Lsn }): Promise<number | undefined> {
  const program = await onPath('pg_recvlogical');
  if (!program) return undefined;
  const { hostname, port, username, password, pathname } = new URL(options.url);
  const settings = { proto_version: '1', publication_names: options.publication, binary: 'true', messages: 'true' };
  const connection = ['-h', hostname, '-p', port, '-U', username, '-d', pathname.slice(1), '--no-password'];
  const reading = ['--slot', options.slot, '--start', '--no-loop', '--endpos', lsnText(options.end), '-f', '/dev/null'];
  const args = [...connection, ...reading, ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  const startedAt = performance.now();
  const child = spawn(program, args, { env: { PATH: process.env['PATH'], PGPASSWORD: decodeURIComponent(password) }, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-2_000)));
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`pg_recvlogical ended with ${code}: ${output.trim()}`);
  return (performance.now() - startedAt) / 1000;
}
