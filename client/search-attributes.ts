import type { Connection } from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { startValues } from '../core/workflow-names.ts';

/** Temporal's IndexedValueType. */
const keyword = 2;
const double = 4;
const attributes: Readonly<Record<string, number>> = { SluicePipeline: keyword, SluiceKind: keyword, SluiceState: keyword, SluiceLagSeconds: double };

/** Makes Sluice's search attributes known to a server that lacks them: without them no workflow can start. */
export async function registerSearchAttributes({ operatorService }: Connection, namespace: string): Promise<void> {
  const missing = await missingSearchAttributes(operatorService, namespace);
  if (missing && missing.length > 0) await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing.map((name) => [name, attributes[name]!])) });
}

/** Undefined: Temporal Cloud does not say; starting a workflow does. */
export async function missingSearchAttributes(operatorService: Connection['operatorService'], namespace: string): Promise<readonly string[] | undefined> {
  const known = await operatorService.listSearchAttributes({ namespace }).catch(() => undefined);
  return known && Object.keys(attributes).filter((name) => !(name in known.customAttributes));
}

/** As `temporal operator search-attribute create --type` calls it. */
export function searchAttributeType(name: string): 'Keyword' | 'Double' {
  return attributes[name] === double ? 'Double' : 'Keyword';
}

/** What a workflow of ours is found by from its start on. */
export function startAttributes(pipeline: string, kind: string, state: string): SearchAttributePair[] {
  return Object.entries(startValues(pipeline, kind, state)).map(([name, value]) => ({ key: defineSearchAttributeKey(name, 'KEYWORD'), value }));
}
