import { readFileSync, readdirSync } from 'node:fs';

/** User and system time of a process, without its children, in seconds. See proc(5), fields 14 and 15 of `stat`. */
export function cpuSeconds(pid: number): number {
  const [user, system] = times(pid);
  return (user! + system!) / ticksPerSecond;
}

/** With all children, those that have ended and been waited for included. */
export function cpuSecondsOfTree(pid: number): number {
  const [user, system, endedUser, endedSystem] = times(pid);
  const living = childrenOf(pid).reduce((sum, child) => sum + cpuSecondsOfTree(child), 0);
  return (user! + system! + endedUser! + endedSystem!) / ticksPerSecond + living;
}

/** The most memory that the process has had resident since it started, MiB. */
export function peakMiB(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) / 1024;
}

/** What it has resident now, MiB. */
export function residentMiB(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) / 1024;
}

function times(pid: number): number[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return [0, 0, 0, 0]; // it ended; its parent has its time
    throw error;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** What Linux tells programs is always in hundredths (USER_HZ). */
const ticksPerSecond = 100;
