/**
 * Frees buffers that were used for a moment. V8 lets some 64 MB of them pile up before it looks: more than the whole runner may take on
 * a machine that belongs to the job. A look at the young ones takes about a millisecond.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Between two looks. */
const everyBytes = 4 * 1024 * 1024;

/** To be told of each buffer's bytes. Does nothing where the engine has no such switch (Bun). */
export function createYoungGarbage(): (bytes: number) => void {
  let collect: ((options: { readonly type: 'minor' }) => void) | null | undefined;
  let unseen = 0;
  return (bytes) => {
    unseen += bytes;
    if (unseen < everyBytes) return;
    unseen = 0;
    if (collect === undefined) collect = exposed();
    collect?.({ type: 'minor' });
  };
}

function exposed(): ((options: { readonly type: 'minor' }) => void) | null {
  try {
    setFlagsFromString('--expose-gc');
    return runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  } catch {
    return null;
  }
}
