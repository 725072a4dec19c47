/** A machine that takes our connection and then says nothing: how long we wait for its first word. May import core. */
import { GpuRunError } from '../core/errors.ts';

/** Milliseconds. A busy machine on a slow line takes some seconds. */
export const firstWordWithinMs = 30_000;

export function silentMachine(withinMs: number): GpuRunError {
  return new GpuRunError('connection', `The machine is connected but silent: it said nothing for ${withinMs / 1000} s.`, {
    retry: 'same',
    hints: ['A machine that swaps, or whose disk or network file system hangs, does so. Try again, or look with `gpu-run ssh`.'],
  });
}
