/** The compiler proves that this is not called; if it is after all, the value is in the error. */
export function unreachable(value: never): never {
  throw new TypeError(`unreachable: ${JSON.stringify(value)}`);
}
