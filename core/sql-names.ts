/** A name as it is typed in SQL: quoted only where it must be. */
export function sqlIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `public.events`, likewise. */
export function sqlRelation(relation: string): string {
  const dot = relation.indexOf('.');
  return `${sqlIdentifier(relation.slice(0, dot))}.${sqlIdentifier(relation.slice(dot + 1))}`;
}
