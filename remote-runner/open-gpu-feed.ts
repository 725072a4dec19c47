/** Who tells of the GPUs: NVML, where koffi's native module was brought along and the library is found; else nvidia-smi. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { koffiFileName } from '../src/protocol/native.ts';
import type { GpuFeed, GpuFeedOptions } from './gpu-feed.ts';
import { openNvmlFeed } from './nvml-feed.ts';
import { openSmiFeed } from './smi-feed.ts';

/** `script`: the runner's own file. */
export function openGpuFeed(script: string, options: GpuFeedOptions): GpuFeed {
  const koffiFile = koffiFileOf(script);
  if (koffiFile === null) return openSmiFeed(options);
  let closed = false;
  const toSmi = () => {
    if (!closed) feed = openSmiFeed(options);
  };
  let feed = openNvmlFeed({ ...options, script, koffiFile, onUnusable: toSmi });
  return {
    latest: () => feed.latest(),
    close() {
      closed = true;
      feed.close();
    },
  };
}

/** Beside the folders of the runner's versions: `~/.gpu-run/native`, as the runner lies in `~/.gpu-run/runner/<version>`. */
function koffiFileOf(script: string): string | null {
  if (process.platform !== 'linux') return null;
  const file = join(dirname(script), '..', '..', 'native', koffiFileName(process.arch));
  return existsSync(file) ? file : null;
}
