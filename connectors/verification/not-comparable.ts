/** Source and sinks could not be brought side by side: says why, and what to type next. Not the same as unequal. */
export class NotComparable extends Error {
  override readonly name = 'NotComparable';
}
