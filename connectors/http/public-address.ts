import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { BlockList, isIP } from 'node:net';

/** A host that is not on the public internet: this machine, a private network, a cloud's metadata service. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress';
  constructor(host: string, address: string) {
    super(host === address ? `${address} is not a public address` : `${host} is ${address}, which is not a public address`);
  }
}

/** Checks a host that is an address already; names are checked where they are looked up. */
export function demandPublic(host: string): void {
  const address = host.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 && !isPublic(address)) throw new PrivateAddress(address, address);
}

/** Looks up a name for the very connection that uses it, so that the answer cannot change in between. */
export const publicLookup: LookupFunction = (host, options, callback) => {
  lookup(host, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    const hidden = addresses.find(({ address }) => !isPublic(address));
    if (hidden) return callback(new PrivateAddress(host, hidden.address), '', 0);
    if (options.all) return callback(null, addresses);
    return callback(null, addresses[0]!.address, addresses[0]!.family);
  });
};

export function isPublic(address: string): boolean {
  return !notPublic.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/** IANA's special-purpose registries: https://www.iana.org/assignments/iana-ipv4-special-registry */
const notPublic = new BlockList();
for (const range of [
  '0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24',
  '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4',
  '::/128', '::1/128', '64:ff9b::/96', '100::/64', '2001:db8::/32', 'fc00::/7', 'fe80::/10', 'ff00::/8',
]) {
  const [network, prefix] = range.split('/') as [string, string];
  notPublic.addSubnet(network, Number(prefix), network.includes(':') ? 'ipv6' : 'ipv4');
}
