/** Why a GPU runs slower than it could, from the bit mask that NVML and nvidia-smi give. */
import type { ThrottleReason } from '../src/protocol/telemetry.ts';

/** nvml.h, "clocks event reasons". 1, idle, is left out: it slows nothing down. */
const bits: readonly (readonly [number, ThrottleReason])[] = [
  [0x2, 'application-clocks'],
  [0x4, 'power-cap'],
  [0x8, 'hw-slowdown'],
  [0x10, 'sync-boost'],
  [0x20, 'sw-thermal'],
  [0x40, 'hw-thermal'],
  [0x80, 'hw-power-brake'],
  [0x100, 'display-clocks'],
];

/** `mask`: its lower 32 bits; none of the others has a meaning so far. */
export function throttleReasons(mask: number): ThrottleReason[] {
  return Number.isSafeInteger(mask) ? bits.flatMap(([bit, reason]) => ((mask & bit) === 0 ? [] : [reason])) : [];
}
