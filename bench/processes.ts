import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

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

/** Of the process's main thread alone: in Node, where JavaScript runs. See proc(5), `task`. */
export function cpuSecondsOfMainThread(pid: number): number {
  const [user, system] = times(pid, `task/${pid}/stat`);
  return (user! + system!) / ticksPerSecond;
}

/**
 * Bytes that the process and all of its children, those that have ended included, have handed to the file system. See
 * proc(5), `write_bytes` of `io`: pages that were made dirty, whether or not the disk has them yet.
 */
export function writtenBytesOfTree(pid: number): number {
  const living = childrenOf(pid).reduce((sum, child) => sum + writtenBytesOfTree(child), 0);
  return Number(/^write_bytes: (\d+)/m.exec(procFile(pid, 'io'))?.[1] ?? 0) + living;
}

/** From now on the peak is counted anew. See proc(5), `clear_refs`. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/**
 * The most memory that the process has had resident since it started or the peak was reset, MiB. Mapped files, such as
 * the program itself, are in it; the page cache of files that it only reads and writes is not.
 */
export function peakMiB(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) / 1024;
}

/** What it has resident now, MiB. */
export function residentMiB(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) / 1024;
}

function times(pid: number, file = 'stat'): number[] {
  const stat = procFile(pid, file);
  return stat === '' ? [0, 0, 0, 0] : stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
}

/** Empty if the process has ended: its parent has what it used. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
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
