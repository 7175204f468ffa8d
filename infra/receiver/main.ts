import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { InvalidConfig, settings } from '../../core/config.ts';
import { createReceiver } from './receiver.ts';
import { ReceiverStore } from './store.ts';

// Only its own settings: it stands for a system that knows nothing of Postgres or Temporal.
const { dataDir, receiverPort, externalSecret } = settings;
const own = z.object({ dataDir: dataDir.schema, port: receiverPort.schema, secret: externalSecret.schema.unwrap() });
const parsed = own.safeParse({
  dataDir: process.env[dataDir.variable] || undefined,
  port: process.env[receiverPort.variable] || undefined,
  secret: process.env[externalSecret.variable] || undefined,
});
if (!parsed.success) {
  console.error(new InvalidConfig([`${externalSecret.variable}, ${receiverPort.variable}: ${z.prettifyError(parsed.error)}`]).message);
  process.exit(1);
}

const { data } = parsed;
mkdirSync(data.dataDir, { recursive: true });
const store = new ReceiverStore(join(data.dataDir, 'receiver.sqlite'));
const server = createReceiver(store, data.secret);
server.on('error', (error) => {
  console.error(`The receiver cannot listen on port ${data.port}: ${error.message}`);
  process.exit(1);
});
server.listen(data.port, '127.0.0.1', () => console.log(`receiver: http://127.0.0.1:${data.port}`));

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close(() => {
      store.close();
      process.exit(0);
    });
    server.closeIdleConnections();
    // Open requests are answered first; a sender repeats what was not.
    setTimeout(() => server.closeAllConnections(), 2_000).unref();
  });
}
