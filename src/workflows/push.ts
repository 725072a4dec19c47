/** `sync NAME`, and the first half of `train`: code and data to the machine, what changed and nothing else. */
import { join } from 'node:path';
import type { SyncSettings } from '../config/settings.ts';
import { pushProject } from '../sync/push.ts';
import type { RunContext } from './context.ts';
import { findMachine } from './find.ts';
import { reachOrLose, type ReachedMachine } from './reach-machine.ts';

export interface SyncTotals {
  readonly files: number;
  readonly bytes: number;
  /** File content that travelled. */
  readonly sentBytes: number;
  readonly ms: number;
}

export interface PushInput {
  readonly name: string;
  readonly sync: SyncSettings;
  /** Never deleted or overwritten by a push. */
  readonly outputs: readonly string[];
}

export async function push(input: PushInput, context: RunContext): Promise<SyncTotals> {
  await using reached = await reachOrLose(findMachine(input.name, context), context);
  return pushAll(reached, input.sync, input.outputs, context);
}

export async function pushAll(reached: ReachedMachine, sync: SyncSettings, outputs: readonly string[], context: RunContext): Promise<SyncTotals> {
  void outputs;
  void join;
  void pushProject;
  void sync;
  void context;
  throw new Error('wired when the sync is there');
}
