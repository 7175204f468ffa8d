/** JSON being written as bytes. It grows; `reset` keeps its memory. */
export class JsonBuffer {
  buffer: Buffer;
  length = 0;

  constructor(size = 65_536) {
    this.buffer = Buffer.allocUnsafeSlow(size);
  }

  reset(): void {
    this.length = 0;
  }

  /** A view, valid until the next write. */
  view(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  byte(value: number): void {
    this.#room(1);
    this.buffer[this.length++] = value;
  }

  /** Text without characters above 127, written as it is. */
  ascii(text: string): void {
    const { length } = text;
    this.#room(length);
    const target = this.buffer;
    const at = this.length;
    if (length > 16) target.write(text, at, 'latin1');
    else for (let index = 0; index < length; index++) target[at + index] = text.charCodeAt(index);
    this.length = at + length;
  }

  bytes(source: Uint8Array, start: number, end: number): void {
    this.#room(end - start);
    if (end - start <= 48) {
      const target = this.buffer;
      let at = this.length;
      for (let index = start; index < end; index++) target[at++] = source[index]!;
    } else this.buffer.set(source.subarray(start, end), this.length);
    this.length += end - start;
  }

  /** UTF-8 as a JSON string. Runs of bytes that need no escape are copied whole. */
  string(source: Uint8Array, start: number, end: number): void {
    this.byte(quote);
    let from = start;
    for (let index = start; index < end; index++) {
      const byte = source[index]!;
      if (byte >= 0x20 && byte !== quote && byte !== backslash) continue;
      this.bytes(source, from, index);
      this.ascii(escapes[byte]!);
      from = index + 1;
    }
    this.bytes(source, from, end);
    this.byte(quote);
  }

  /** A safe integer. */
  integer(value: number): void {
    if (value < 0 || value > 999_999_999) return this.ascii(String(value + 0));
    let digits = 1;
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) digits++;
    this.#digits(value, digits);
  }

  /** A finite number in its shortest form. Whole thousandths, as of milliseconds in seconds, are written by hand. */
  float(value: number): void {
    const thousandths = Math.round(value * 1000);
    if (!(thousandths >= 0 && thousandths < 1e9) || thousandths / 1000 !== value || Object.is(value, -0)) return this.ascii(String(value + 0));
    const whole = (thousandths / 1000) | 0;
    this.integer(whole);
    const fraction = thousandths - whole * 1000;
    if (fraction === 0) return;
    this.byte(point);
    if (fraction % 100 === 0) this.#digits(fraction / 100, 1);
    else if (fraction % 10 === 0) this.#digits(fraction / 10, 2);
    else this.#digits(fraction, 3);
  }

  /** Microseconds since midnight as `10:00:00.000001`. */
  clock(microseconds: number): void {
    const seconds = Math.floor(microseconds / 1_000_000);
    this.#digits((seconds / 3600) | 0, 2);
    this.byte(colon);
    this.#digits(((seconds / 60) | 0) % 60, 2);
    this.byte(colon);
    this.#digits(seconds % 60, 2);
    this.byte(point);
    this.#digits(microseconds - seconds * 1_000_000, 6);
  }

  /** The hexadecimal digits of a position's four words (core/position.ts). */
  position(words: Uint32Array, at: number): void {
    this.#word(words[at + 3]!);
    this.#word(words[at + 2]!);
    this.#word(words[at + 1]!);
    this.#word(words[at]!);
  }

  /** Four words in ClickHouse's order (core/columns/vector.ts). */
  uuid(words: Uint32Array, at: number): void {
    this.byte(quote);
    this.#word(words[at + 1]!);
    this.byte(dash);
    this.#half(words[at]! >>> 16);
    this.byte(dash);
    this.#half(words[at]! & 0xffff);
    this.byte(dash);
    this.#half(words[at + 3]! >>> 16);
    this.byte(dash);
    this.#half(words[at + 3]! & 0xffff);
    this.#word(words[at + 2]!);
    this.byte(quote);
  }

  #word(word: number): void {
    this.#half(word >>> 16);
    this.#half(word & 0xffff);
  }

  #half(half: number): void {
    this.#room(4);
    const target = this.buffer;
    target[this.length++] = hexDigits[half >>> 12]!;
    target[this.length++] = hexDigits[(half >>> 8) & 15]!;
    target[this.length++] = hexDigits[(half >>> 4) & 15]!;
    target[this.length++] = hexDigits[half & 15]!;
  }

  #digits(value: number, count: number): void {
    this.#room(count);
    const target = this.buffer;
    let rest = value;
    for (let at = this.length + count - 1; at >= this.length; at--) {
      const next = (rest / 10) | 0;
      target[at] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.length += count;
  }

  #room(size: number): void {
    if (this.length + size <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.length + size, this.buffer.length * 2));
    larger.set(this.view());
    this.buffer = larger;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const point = 0x2e;
const dash = 0x2d;
const hexDigits = Buffer.from('0123456789abcdef');
/** For the bytes that JSON cannot hold as they are. */
const escapes: readonly string[] = Array.from({ length: 128 }, (_, code) => JSON.stringify(String.fromCharCode(code)).slice(1, -1));
