/** A text that is written often, padded to whole words of 8 bytes. */
export type Literal = { readonly data: DataView; readonly length: number };

export function literal(text: string): Literal {
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(wholeWords(bytes.length));
  padded.set(bytes);
  return { data: new DataView(padded.buffer), length: bytes.length };
}

export function writeLiteral(target: DataView, at: number, { data, length }: Literal): number {
  return copyWords(target, at, data, 0, length);
}

/** Copies by words of 8 bytes: up to 7 more than asked for, which the next write covers. Needs room for `wholeWords`. */
export function copyWords(target: DataView, at: number, source: DataView, start: number, length: number): number {
  for (let done = 0; done < length; done += 8) target.setBigInt64(at + done, source.getBigInt64(start + done, true), true);
  return at + length;
}

export function wholeWords(length: number): number {
  return (length + 7) & ~7;
}
