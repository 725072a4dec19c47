/**
 * Calls functions of native libraries through koffi's native module, as it was brought to the machine beside the runner. Only its
 * few functions that are used here are described; koffi's own JavaScript does no more than find this file.
 */
import { createRequire } from 'node:module';

/** Integers of 64 bits go in and out as bigint, where they don't fit a number; a Buffer stands for a pointer to its bytes. */
export type NativeFunction = (...args: readonly (number | bigint | Buffer)[]) => number | bigint | string | null;

export interface NativeLibrary {
  /** By its C prototype; null: the library has no such function. */
  find(prototype: string): NativeFunction | null;
}

interface Koffi {
  load(path: string): { func(prototype: string): NativeFunction };
}

/** The first of the libraries that is there. @throws when koffi's module does not run here, or when there is none of them */
export function openLibrary(koffiFile: string, paths: readonly string[]): NativeLibrary {
  const koffi = createRequire(import.meta.url)(koffiFile) as Koffi;
  const library = firstOf(koffi, paths);
  return {
    find(prototype) {
      try {
        return library.func(prototype);
      } catch {
        return null;
      }
    },
  };
}

function firstOf(koffi: Koffi, paths: readonly string[]): ReturnType<Koffi['load']> {
  let failure: unknown;
  for (const path of paths) {
    try {
      return koffi.load(path);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

/** The kernel kills this process when its parent ends, also while it hangs in a call (prctl(2), PR_SET_PDEATHSIG). */
export function dieWithParent(koffiFile: string): void {
  const prctl = openLibrary(koffiFile, ['libc.so.6']).find('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
  const killSignal = 9;
  prctl?.(1, killSignal, 0, 0, 0);
}
