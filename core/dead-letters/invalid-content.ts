import { BadInput } from '../bad-input.ts';

/** A dead letter's row cannot be so: a column that is not there, or a value that is none of its type. */
export class InvalidContent extends BadInput {
  override readonly name = 'InvalidContent';
}
