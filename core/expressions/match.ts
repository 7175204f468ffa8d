import type { BytesVector, Vector } from '../columns/vector.ts';
import { State, valueStart } from '../columns/vector.ts';
import type { Expression } from './expression.ts';
import type { States } from './states.ts';

export type Match = Expression & { readonly op: 'match' };

/** For each row what `choices` has at the place of its case, or, behind those, for `otherwise`. */
export function choicesOf<T extends Uint32Array | Float64Array>(match: Match, input: Vector, choices: T, into: T): { readonly values: T; readonly states: States } {
  const texts = match.cases.map(([text]) => encoder.encode(text));
  const { states } = input;
  into.fill(choices[texts.length]!);
  if (input.layout === 'interned') {
    const dictionary = input.dictionary as BytesVector;
    const caseOfId = Uint32Array.from({ length: dictionary.length }, (_, id) => caseAt(dictionary, id, texts));
    for (let row = 0; row < into.length; row++) if (!states || states[row] === State.value) into[row] = choices[caseOfId[input.ids[row]!]!]!;
  } else {
    const values = input as BytesVector;
    for (let row = 0; row < into.length; row++) if (!states || states[row] === State.value) into[row] = choices[caseAt(values, row, texts)]!;
  }
  return { values: into, states: unchangedOnly(states) };
}

const encoder = new TextEncoder();

function caseAt(values: BytesVector, row: number, texts: readonly Uint8Array[]): number {
  const start = valueStart(values, row);
  const length = values.ends[row]! - start;
  for (let place = 0; place < texts.length; place++) {
    const text = texts[place]!;
    if (text.length === length && text.every((byte, at) => values.bytes[start + at] === byte)) return place;
  }
  return texts.length;
}

/** NULL is matched as any other value. */
function unchangedOnly(states: States): States {
  if (!states?.includes(State.unchanged)) return undefined;
  return states.map((state) => (state === State.unchanged ? State.unchanged : State.value));
}
