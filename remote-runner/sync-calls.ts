/** The calls of sync, for the runner's table. May import protocol and `node:`. */
import type { Call } from '../src/protocol/peer.ts';
import { fetchData } from './fetch.ts';
import { sendOutputs } from './outputs.ts';
import type { LiveSources } from './sync-live.ts';
import { previewPush } from './sync-preview.ts';
import { receivePush } from './sync-receive.ts';

/** `workdir` may not exist yet; records go to `root/sync`, the machine's own files that a push displaced to `root/kept`. */
export const syncCalls: Record<string, (call: Call, machine: { root: string; workdir: string; live?: LiveSources }) => Promise<unknown>> = {
  push: receivePush,
  preview: previewPush,
  pull: sendOutputs,
  fetch: (call, machine) => fetchData(call, machine),
};
