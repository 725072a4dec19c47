/**
 * A process of its own that asks NVML again and again and writes down what it hears, one line of JSON a reading: a driver that hangs
 * must not take the runner with it. It ends with its parent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type GpuReading, isSilent } from './gpu-feed.ts';
import { dieWithParent } from './native-library.ts';
import { type Nvml, openNvml } from './nvml.ts';

/** A line of its output. `unusable`: NVML is not to be had on this machine, and why; nothing follows. */
export type NvmlLine = Pick<GpuReading, 'gpus' | 'processes' | 'problem'> | { readonly unusable: string };

export interface NvmlOrder {
  /** Of koffi's native module. */
  readonly koffiFile: string;
  readonly everyMs: number;
  readonly withProcesses: boolean;
}

/** So many readings in a row without a GPU that answers, and it ends: the driver may have been loaded anew. */
const mostDeaf = 5;

export async function watchNvml({ koffiFile, everyMs, withProcesses }: NvmlOrder, write: (line: string) => void): Promise<void> {
  const say = (line: NvmlLine) => write(`${JSON.stringify(line)}\n`);
  let nvml: Nvml;
  try {
    dieWithParent(koffiFile);
    nvml = openNvml(koffiFile);
  } catch (error) {
    say({ unusable: error instanceof Error ? error.message : String(error) });
    return;
  }
  for (let deaf = 0; deaf < mostDeaf; ) {
    const reading = nvml.read(withProcesses);
    say(reading);
    deaf = reading.gpus.every(isSilent) ? deaf + 1 : 0;
    await sleep(everyMs);
  }
}
