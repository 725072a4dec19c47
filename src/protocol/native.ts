/** The native module that the runner may find beside itself. Imports nothing. */

/** Of koffi, which calls native libraries. */
export const koffiVersion = '3.3.4';

/** Its name in the folder `native` of gpu-run's folder on the machine, for a processor as Node names it. */
export function koffiFileName(arch: string): string {
  return `koffi-${koffiVersion}-${arch}.node`;
}
