import type { BytesVector, Vector } from '../columns/vector.ts';
import { State, valueStart } from '../columns/vector.ts';
import type { Expression } from './expression.ts';
import type { States } from './states.ts';

export type Match = Expression & { readonly op: 'match' };

/** For each row the place of its case, or cases.length for `otherwise`. */
export function casesOf(match: Match, input: Vector): { readonly which: Uint32Array; readonly states: States } {
  const which = new Uint32Array(input.length).fill(match.cases.length);
  const texts = match.cases.map(([text]) => encoder.encode(text));
  const { states } = input;
  if (input.layout === 'interned') {
    const dictionary = input.dictionary as BytesVector;
    const caseOfId = Uint32Array.from({ length: dictionary.length }, (_, id) => caseAt(dictionary, id, texts));
    if (!states) for (let row = 0; row < which.length; row++) which[row] = caseOfId[input.ids[row]!]!;
    else
      for (let row = 0; row < which.length; row++)
        if (states[row] === State.value) which[row] = caseOfId[input.ids[row]!]!;
  } else {
    const values = input as BytesVector;
    for (let row = 0; row < which.length; row++)
      if (!states || states[row] === State.value) which[row] = caseAt(values, row, texts);
  }
  return { which, states: unchangedOnly(states) };
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
