import { type ChildProcess, spawn } from 'node:child_process';
import type { EmbeddedService, Place } from '../../infra/embedded/service.ts';
import { partsFolder } from '../../infra/supervisor/checkout.ts';

/** Starts a server of a test's own, and returns when it answers at this address. `more`: arguments. */
export async function startOwn(service: EmbeddedService, place: Place, address: string, more: readonly string[] = []): Promise<{ readonly child: ChildProcess; readonly args: readonly string[] }> {
  const program = await service.find({ folder: partsFolder, report: () => {}, signal: new AbortController().signal });
  const command = await service.prepare(program, place);
  const args = [...command.args, ...more];
  const child = spawn(command.program, args, { env: { ...command.environment }, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], ...(command.user && { uid: command.user.uid, gid: command.user.gid }) });
  let said = '';
  child.stderr!.on('data', (bytes: Buffer) => (said = (said + bytes.toString()).slice(-2_000)));
  for (let attempt = 0; ; attempt++) {
    try {
      await service.check(address);
      return { child, args };
    } catch (error) {
      if (attempt === 150 || child.exitCode !== null) {
        child.kill('SIGKILL');
        throw new Error(`the server did not start: ${said}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
