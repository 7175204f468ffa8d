/** Output as a list of chunks: small writes are gathered in a buffer, large arrays are passed on uncopied. */
export class Chunks {
  readonly list: Uint8Array[] = [];
  #buffer = Buffer.allocUnsafe(bufferSize);
  #start = 0;
  #end = 0;

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.#end++] = value;
  }

  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.byte(rest);
  }

  uint64(value: number): void {
    this.#room(8);
    this.#buffer.writeUInt32LE(value >>> 0, this.#end);
    this.#buffer.writeUInt32LE(Math.floor(value / 0x1_0000_0000), this.#end + 4);
    this.#end += 8;
  }

  text(value: string): void {
    const bytes = Buffer.from(value);
    this.varint(bytes.length);
    this.array(bytes);
  }

  array(array: ArrayBufferView): void {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    if (bytes.length > copyLimit) {
      this.#flush();
      this.list.push(bytes);
    } else {
      this.#room(bytes.length);
      this.#buffer.set(bytes, this.#end);
      this.#end += bytes.length;
    }
  }

  /** Everything written so far. */
  end(): readonly Uint8Array[] {
    this.#flush();
    return this.list;
  }

  #room(size: number): void {
    if (this.#end + size <= this.#buffer.length) return;
    this.#flush();
    this.#buffer = Buffer.allocUnsafe(bufferSize);
    this.#start = 0;
    this.#end = 0;
  }

  #flush(): void {
    if (this.#end > this.#start) this.list.push(this.#buffer.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }
}

const bufferSize = 65_536;
/** A chunk costs about as much as copying this many bytes. */
const copyLimit = 4096;
