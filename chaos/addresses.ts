import type { Config } from '../core/config.ts';
import { HttpFront } from './http-front.ts';
import { Proxy } from './proxy.ts';

/** What the worker reaches only through us. `source` and `state` are two ways to one server. */
export const proxied = ['source', 'state', 'redis', 'clickhouse', 'temporal'] as const;
export type Proxied = (typeof proxied)[number];

export type Ways = {
  readonly proxies: Readonly<Record<Proxied, Proxy>>;
  readonly front: HttpFront;
  /** The addresses as the worker gets them. */
  readonly config: Config;
  close(): Promise<void>;
};

const urls = { source: 'sourceUrl', state: 'stateUrl', redis: 'redisUrl', clickhouse: 'clickhouseUrl' } as const;

/** Opens a proxy before each service, on ports from `firstPort` on. */
export async function openWays(config: Config, firstPort: number): Promise<Ways> {
  const [host, port] = config.temporalAddress.split(':') as [string, string];
  const temporalPort = firstPort + proxied.indexOf('temporal');
  const frontPort = firstPort + proxied.length;
  const own: Partial<Record<string, string>> = {};
  const opened = await Promise.all(
    proxied.map(async (name, place) => {
      const listen = firstPort + place;
      if (name === 'temporal') return [name, await Proxy.listen(temporalPort, { host, port: Number(port) })] as const;
      const url = new URL(config[urls[name]]);
      const proxy = await Proxy.listen(listen, { host: url.hostname, port: Number(url.port) });
      url.port = String(listen);
      own[urls[name]] = url.href;
      return [name, proxy] as const;
    }),
  );
  const front = await HttpFront.listen(frontPort, { host: '127.0.0.1', port: config.receiverPort });
  const proxies = Object.fromEntries(opened) as Record<Proxied, Proxy>;
  return {
    proxies,
    front,
    config: { ...config, ...own, temporalAddress: `127.0.0.1:${temporalPort}`, externalUrl: `http://127.0.0.1:${frontPort}/events`, httpPrivate: true },
    close: async () => {
      await Promise.all([...Object.values(proxies).map((proxy) => proxy.close()), front.close()]);
    },
  };
}

/** How many ports `openWays` takes. */
export const wayPorts = proxied.length + 1;
