/** The functions of NVML that are used, in the newest version that the library has. A handle is a pointer that only NVML looks into. */
import type { NativeFunction, NativeLibrary } from './native-library.ts';

export interface NvmlCalls {
  readonly init: NativeFunction | null;
  readonly errorString: NativeFunction | null;
  readonly count: NativeFunction | null;
  readonly handle: NativeFunction | null;
  readonly uuid: NativeFunction | null;
  readonly name: NativeFunction | null;
  readonly utilization: NativeFunction | null;
  readonly memory2: NativeFunction | null;
  readonly memory: NativeFunction | null;
  readonly power: NativeFunction | null;
  readonly powerLimit: NativeFunction | null;
  readonly temperature: NativeFunction | null;
  readonly clock: NativeFunction | null;
  readonly maxClock: NativeFunction | null;
  readonly throttle: NativeFunction | null;
  readonly ecc: NativeFunction | null;
  readonly processes: NativeFunction | null;
  readonly processName: NativeFunction | null;
}

export function findCalls(library: NativeLibrary): NvmlCalls {
  const first = (...prototypes: string[]) => {
    for (const prototype of prototypes) {
      const found = library.find(prototype);
      if (found !== null) return found;
    }
    return null;
  };
  const ofDevice = (parameters: string, ...names: string[]) => first(...names.map((name) => `int ${name}(uintptr_t device, ${parameters})`));
  return {
    init: first('int nvmlInit_v2()', 'int nvmlInit()'),
    errorString: first('const char *nvmlErrorString(int result)'),
    count: first('int nvmlDeviceGetCount_v2(void *count)', 'int nvmlDeviceGetCount(void *count)'),
    handle: first('int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void *device)', 'int nvmlDeviceGetHandleByIndex(unsigned int index, void *device)'),
    uuid: ofDevice('void *uuid, unsigned int length', 'nvmlDeviceGetUUID'),
    name: ofDevice('void *name, unsigned int length', 'nvmlDeviceGetName'),
    utilization: ofDevice('void *utilization', 'nvmlDeviceGetUtilizationRates'),
    memory2: ofDevice('void *memory', 'nvmlDeviceGetMemoryInfo_v2'),
    memory: ofDevice('void *memory', 'nvmlDeviceGetMemoryInfo'),
    power: ofDevice('void *milliwatts', 'nvmlDeviceGetPowerUsage'),
    powerLimit: ofDevice('void *milliwatts', 'nvmlDeviceGetEnforcedPowerLimit'),
    temperature: ofDevice('int sensor, void *degrees', 'nvmlDeviceGetTemperature'),
    clock: ofDevice('int type, void *megahertz', 'nvmlDeviceGetClockInfo'),
    maxClock: ofDevice('int type, void *megahertz', 'nvmlDeviceGetMaxClockInfo'),
    throttle: ofDevice('void *reasons', 'nvmlDeviceGetCurrentClocksEventReasons', 'nvmlDeviceGetCurrentClocksThrottleReasons'),
    ecc: ofDevice('int error, int counter, void *count', 'nvmlDeviceGetTotalEccErrors'),
    processes: ofDevice(
      'void *count, void *infos',
      'nvmlDeviceGetComputeRunningProcesses_v3',
      'nvmlDeviceGetComputeRunningProcesses_v2',
      'nvmlDeviceGetComputeRunningProcesses',
    ),
    processName: first('int nvmlSystemGetProcessName(unsigned int pid, void *name, unsigned int length)'),
  };
}
