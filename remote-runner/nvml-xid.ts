/** XID errors: what the driver says of a GPU's faults, as it happens (nvml.h, event handling). */
import type { NativeLibrary } from './native-library.ts';

export interface Xids {
  /** Where a GPU can't tell of them, nothing is told. */
  register(device: bigint): void;
  /** Takes in what has happened; never waits. */
  look(): void;
  /** null: none since it was registered. */
  newest(device: bigint): number | null;
}

const ok = 0;
/** nvmlEventTypeXidCriticalError. */
const xidEvent = 8n;
/** nvmlEventData_t: device, type, data (the XID), and of which instance. */
const eventBytes = 32;
const mostAtOnce = 64;

/** null: this library tells of no events. */
export function openXids(library: NativeLibrary): Xids | null {
  const create = library.find('int nvmlEventSetCreate(void *set)');
  const listen = library.find('int nvmlDeviceRegisterEvents(uintptr_t device, uint64_t types, uintptr_t set)');
  const wait =
    library.find('int nvmlEventSetWait_v2(uintptr_t set, void *event, unsigned int ms)') ??
    library.find('int nvmlEventSetWait(uintptr_t set, void *event, unsigned int ms)');
  const out = Buffer.alloc(8);
  if (create === null || listen === null || wait === null || create(out) !== ok) return null;
  const set = out.readBigUInt64LE();
  const newest = new Map<bigint, number>();
  return {
    register: (device) => void listen(device, xidEvent, set),
    look() {
      const event = Buffer.alloc(eventBytes);
      for (let taken = 0; taken < mostAtOnce && wait(set, event, 0) === ok; taken += 1) {
        if (event.readBigUInt64LE(8) === xidEvent) newest.set(event.readBigUInt64LE(), Number(event.readBigUInt64LE(16)));
      }
    },
    newest: (device) => newest.get(device) ?? null,
  };
}
