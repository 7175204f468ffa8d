import type { Position } from '../core/position.ts';

/**
 * What sinks themselves have said, beside what was last told of their lanes: a sink that was set back while its lane stands
 * still is not where the lane was last seen. It holds until the lane says something else; what is above that never does, for
 * the sink may fall back to it.
 */
export class AskedFences {
  readonly #said = new Map<string, { readonly fence: Position | undefined; readonly instead: Position | undefined }>();

  /** `fence`: undefined if what was `told` of the lane is not to be gone by either. */
  asked(lane: string, fence: Position | undefined, told: Position | undefined): void {
    this.#said.set(lane, { fence, instead: told });
  }

  fence(lane: string, told: Position | undefined): Position | undefined {
    const said = this.#said.get(lane);
    if (!said || said.instead !== told) return told;
    return said.fence !== undefined && told !== undefined && said.fence > told ? told : said.fence;
  }
}
