/** What was typed cannot be meant: a name that there is not, a value of the wrong kind. Commands end with 2 then. */
export class BadInput extends Error {
  override readonly name: string = 'BadInput';
}
