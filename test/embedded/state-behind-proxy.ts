import { Proxy } from '../../chaos/proxy.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState, type State } from '../../connectors/postgres/state/state.ts';
import { throwAwayDatabase } from './services.ts';

/** A state database of its own, reached directly as `state`, and by `url` on a way that can be cut. */
export async function stateBehindProxy(stack: AsyncDisposableStack): Promise<{ readonly state: State; readonly url: string; readonly way: Proxy }> {
  const { url } = stack.use(await throwAwayDatabase());
  const { hostname, port } = new URL(url);
  const way = await Proxy.listen(0, { host: hostname, port: Number(port) });
  stack.defer(() => way.close());
  const state = openState(url);
  stack.defer(() => state.end());
  await migrate(state);
  return { state, way, url: Object.assign(new URL(url), { port: way.port }).href };
}
