/** Throws if one of them cannot be loaded. Temporal's client, which takes most of a second, is not. */
import '../pipelines/index.ts';
