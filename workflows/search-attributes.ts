import { defineSearchAttributeKey } from '@temporalio/common';

/** By what runs are found in the Web UI; the client registers it and sets the others at the start. An upsert costs an event: on change only. */
export const stateAttribute = defineSearchAttributeKey('SluiceState', 'KEYWORD');
