/** Of a pipeline that was destroyed, or never applied. `so`: what follows from that for whoever has asked for something of it. */
export function unloadedText(pipeline: string, so: string): string {
  return `Pipeline ${pipeline} is not loaded, and so ${so}. To load it as its source is now: ./sluice apply ${pipeline}`;
}
