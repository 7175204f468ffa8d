import { parseArgs } from 'node:util';
import { pipelines } from '../pipelines/index.ts';
import { parseConfig } from '../core/config.ts';
import { doctorText, isWell } from '../core/doctor.ts';
import { examine } from './examine.ts';

/** `./sluice doctor`: finds the services in its environment. Exit 0: nothing is wrong; 1: something is. */
const { values: { json }, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });

try {
  const names = positionals.length > 0 ? positionals : Object.keys(pipelines);
  // no destination is asked for its own settings, so their addresses, which only the worker's environment may have, are left out
  const findings = await examine(parseConfig(process.env), names.map((name) => ({ ...pipelines[name]!, sinks: {} })));
  console.log(json ? JSON.stringify({ findings }, undefined, 2) : doctorText(findings));
  process.exitCode = isWell(findings) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error && process.env['SLUICE_LOG_LEVEL'] !== 'debug' ? error.message : error);
  process.exitCode = 1;
}
