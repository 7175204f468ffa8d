import type { Client, Connection } from 'pg';

/** For the server to close a connection that was told so; from here to the other end of the world and back, and much more. */
const goodbyeMs = 2_000;

/** Ends a connection. On one that went dead without a word no answer comes: it is not waited for, or nothing would ever end. Never throws. */
export async function leave(client: Client): Promise<void> {
  const { stream } = (client as Client & { readonly connection: Connection }).connection;
  const timer = setTimeout(() => stream.destroy(), goodbyeMs);
  await client.end().catch(() => {});
  clearTimeout(timer);
}
