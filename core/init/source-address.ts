import { BadInput } from '../bad-input.ts';

/** The address of a source as it may be shown. Throws BadInput, which does not show it. */
export function withoutPassword(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!url || !['postgres:', 'postgresql:'].includes(url.protocol))
    throw new BadInput('The source is no address of a PostgreSQL: write postgres://user:password@host:5432/database, and %40 for an @ in the password (%23 for #, %2F for /).');
  if (url.password !== '') url.password = 'PASSWORD';
  for (const name of new Set(url.searchParams.keys())) if (/password/i.test(name)) url.searchParams.set(name, 'PASSWORD');
  return url.href;
}
