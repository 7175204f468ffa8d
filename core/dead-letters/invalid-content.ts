/** A dead letter's row cannot be so: a column that is not there, or a value that is none of its type. */
export class InvalidContent extends Error {
  override readonly name = 'InvalidContent';
}
