/** A runner's connection that waits for work, and is nobody at the machine meanwhile. Imports its own folder only. */

/** The last word of its command line. While a call is open the process takes it away from there. */
export const standbyWord = '--standby';

/** `line`: a process's command line, its words apart by spaces. */
export function isOnStandby(line: string): boolean {
  return line.endsWith(` ${standbyWord}`) && / connect --root \//.test(line);
}
