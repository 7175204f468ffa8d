/** A string of TypeScript: a name of the source must not end it, whatever is in it. */
export function literal(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll(String.raw`\"`, '"').replaceAll("'", String.raw`\'`).replaceAll('\u2028', String.raw`\u2028`).replaceAll('\u2029', String.raw`\u2029`)}'`;
}

/** A name as a property of an object. */
export function property(name: string): string {
  return isWord(name) ? name : literal(name);
}

/** `events.status`, `events['Order status']`. */
export function member(of: string, name: string): string {
  return isWord(name) ? `${of}.${name}` : `${of}[${literal(name)}]`;
}

/** A text within a comment of one line: a line break in a name must not end it. */
export function inComment(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).replaceAll('*/', '* /');
}

function isWord(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/.test(name);
}
