/** A name in SQL, always quoted. */
export function quotedName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A name as it is typed in SQL: quoted only where it must be. */
export function sqlIdentifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !reserved.has(name) ? name : quotedName(name);
}

/** `public.events`, likewise. */
export function sqlRelation(relation: string): string {
  const dot = relation.indexOf('.');
  return `${sqlIdentifier(relation.slice(0, dot))}.${sqlIdentifier(relation.slice(dot + 1))}`;
}

/** https://www.postgresql.org/docs/18/sql-keywords-appendix.html: reserved, also those that may name a function or type. */
const reserved: ReadonlySet<string> = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between binary bigint bit boolean both case cast char character check coalesce
  collate collation column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user dec decimal default deferrable desc distinct do else end except exists extract false fetch float for foreign
  freeze from full grant greatest group grouping having ilike in initially inner inout int integer intersect interval into is isnull join
  lateral leading least left like limit localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric
  offset on only or order out outer overlaps overlay placing position precision primary real references returning right row select
  session_user setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim
  true union unique user using values varchar variadic verbose when where window with`.split(/\s+/),
);
