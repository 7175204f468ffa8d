import type { Fault } from '../fault.ts';
import { applyFaults } from './apply.ts';
import { backfillFaults } from './backfill.ts';
import { clickhouseFaults } from './clickhouse.ts';
import { dataFaults } from './data.ts';
import { detachedFaults } from './detached.ts';
import { extremeFaults } from './extremes.ts';
import { httpFaults } from './http.ts';
import { kills } from './kill.ts';
import { migrationFaults } from './migration.ts';
import { redisFaults } from './redis.ts';
import { refusedFaults } from './refused.ts';
import { serverKills } from './server-killed.ts';
import { silentCuts } from './silent-cut.ts';
import { lateAnswers, sinkFaults } from './sink.ts';
import { sourceFaults } from './source.ts';
import { stateFaults } from './state.ts';
import { temporalFaults } from './temporal.ts';
import { timeFaults } from './time.ts';
import { valueFaults } from './values.ts';
import { workerFaults } from './worker.ts';

/** Every fault of the laboratory, in the order in which the full run does them. */
export const faults: readonly Fault[] = [...kills, ...workerFaults, ...serverKills, ...temporalFaults, ...sourceFaults, ...sinkFaults, ...lateAnswers, ...silentCuts, ...redisFaults, ...clickhouseFaults, ...stateFaults, ...httpFaults, ...detachedFaults, ...dataFaults, ...valueFaults, ...refusedFaults, ...timeFaults, ...backfillFaults, ...extremeFaults, ...migrationFaults, ...applyFaults];
