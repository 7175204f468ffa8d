import { greatestScaled } from './decimal.ts';
import type { Expression } from './expression.ts';
import { greatestOperand } from './floats.ts';
import { belowHalf } from './scaled.ts';
import { powerOfTen, toSql } from './sql.ts';
import type { Aliases } from './sql.ts';

/** A measure's input as SQL of type bigint, NULL where it does not count: what evaluateScaled computes. */
export function toScaledSql(expression: Expression, scale: number, aliases: Aliases): string {
  const value = toSql(expression, aliases);
  if (expression.type === 'float') return floatSql(value, scale);
  return `(SELECT CASE WHEN abs(value) <= ${greatestScaled} THEN value::bigint END FROM (SELECT round(${value}::numeric * ${powerOfTen(scale)}) AS value OFFSET 0) AS _scaled)`;
}

function floatSql(value: string, scale: number): string {
  const scaled = `SELECT CASE WHEN abs(value) <= ${greatestOperand} THEN value * '${10 ** scale}'::float8 END AS scaled FROM (SELECT ${value}::float8 AS value OFFSET 0) AS _value OFFSET 0`;
  return `(SELECT CASE WHEN abs(scaled) <= ${greatestScaled} THEN trunc(scaled + sign(scaled) * '${belowHalf}'::float8)::bigint END FROM (${scaled}) AS _scaled)`;
}
