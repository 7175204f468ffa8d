/**
 * The decimal text of a numeric in Postgres' binary format: groups of four digits with a weight, a sign and a display
 * scale. Source: numeric_send and get_str_from_var in src/backend/utils/adt/numeric.c.
 */
export function numericText(bytes: Buffer, start: number): string {
  const groups = bytes.readInt16BE(start);
  const weight = bytes.readInt16BE(start + 2);
  const sign = bytes.readUInt16BE(start + 4);
  const scale = bytes.readUInt16BE(start + 6);
  if (sign === 0xc000) return 'NaN';
  if (sign === 0xd000) return 'Infinity';
  if (sign === 0xf000) return '-Infinity';

  const group = (index: number) => (index >= 0 && index < groups ? bytes.readInt16BE(start + 8 + index * 2) : 0);
  let whole = '';
  for (let index = 0; index <= weight; index++) whole += index === 0 ? String(group(0)) : String(group(index)).padStart(4, '0');
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index++) fraction += String(group(index)).padStart(4, '0');
  const text = scale > 0 ? `${whole || '0'}.${fraction.slice(0, scale)}` : whole || '0';
  return sign === 0x4000 ? `-${text}` : text;
}
