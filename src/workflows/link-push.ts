/** A push that a link does: it has the trees and a runner at hand, and knows what has changed since the last one. Both its ends. */
import type { GpuRunError } from '../core/errors.ts';
import type { Report } from '../core/reporter.ts';
import type { MachineEntry } from '../ledger/ledger.ts';
import { openLink } from '../link/link-connector.ts';
import { outcomeOf } from '../link/messages.ts';
import { isTrusted, linkPlace } from '../link/place.ts';
import { resultOf } from '../link/remote-command.ts';
import type { Call } from '../protocol/peer.ts';
import { openRunner, type RunnerClient } from '../runner/client.ts';
import type { InstalledRunner } from '../runner/install.ts';
import { watchTrees } from '../sync/live-trees.ts';
import { prepareProject } from '../sync/push.ts';
import type { Transport } from '../transport/transport.ts';
import type { RunContext } from './context.ts';
import { type AskedPush, pushOnce, type SyncTotals } from './push-once.ts';

/** All is walked at the first push after so long: what was written through a memory map, or another name, is not heard of. Milliseconds. */
const doubtAfterMs = 300_000;

export interface LinkPusher extends AsyncDisposable {
  push(call: Call): Promise<unknown>;
}

/** The link's end. One push at a time; the others wait. */
export function createPusher(machine: MachineEntry, transport: Transport, installed: InstalledRunner, context: RunContext): LinkPusher {
  const { clock, signal } = context;
  const trees = watchTrees(() => {});
  let runner: RunnerClient | null = null;
  let walkedAt = clock.now();
  let last: Promise<unknown> = Promise.resolve();

  const open = async (): Promise<RunnerClient> => {
    if (runner !== null) return runner;
    const opened = await openRunner(transport, installed, { signal, standby: true });
    runner = opened;
    void opened.over.then((_reason: GpuRunError) => {
      if (runner === opened) runner = null;
    });
    return opened;
  };
  const push = async (call: Call): Promise<SyncTotals> => {
    const asked = call.params as AskedPush;
    if (clock.now() - walkedAt >= doubtAfterMs) {
      walkedAt = clock.now();
      trees.doubt();
    }
    const reporter = { report: (report: Report) => void call.event({ report }).catch(() => {}) };
    const here = { ...context, reporter, signal: call.signal };
    const target = { runner: await open(), machine };
    const preparing = prepareProject(asked.project, context.home.sync, call.signal, trees);
    const { unchanged: _, ...totals } = await pushOnce(target, { ...asked, preparing, live: true }, here);
    return totals;
  };
  return {
    push: (call) => {
      const turn = last.then(() => outcomeOf(() => push(call)));
      last = turn;
      return turn;
    },
    [Symbol.asyncDispose]: async () => {
      trees.close();
      await runner?.close();
    },
  };
}

/** A command's end. null: there is no link, or its connection broke; nobody knows then how far it came, and to push again does no harm. @throws as a push */
export async function pushByLink(machine: MachineEntry, asked: () => AskedPush, context: RunContext): Promise<SyncTotals | null> {
  const { home, links, reporter, runner, signal } = context;
  const place = links === undefined ? null : linkPlace(home.links, machine.id);
  const link = place === null ? null : await openLink(place, runner.version);
  if (link === null) return null;
  reporter.report({ type: 'phase', phase: 'sync', status: 'begin', text: `Syncing to '${machine.name}'` });
  const call = link.peer.open('push', asked());
  const cancel = () => call.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    void relay(call, (report) => reporter.report(report));
    return await resultOf<SyncTotals>(call);
  } catch (error) {
    signal.throwIfAborted();
    if ((error as Partial<GpuRunError>).code === 'connection') return null;
    throw error;
  } finally {
    signal.removeEventListener('abort', cancel);
    link.close();
  }
}

/** Not whether it answers. */
export function mayHaveLink({ id }: MachineEntry, { home, links }: RunContext): boolean {
  const place = links === undefined ? null : linkPlace(home.links, id);
  return place !== null && isTrusted(place);
}

async function relay(call: Call, report: (report: Report) => void): Promise<void> {
  try {
    for await (const part of call.parts()) if (part.kind === 'event') report((part.value as { readonly report: Report }).report);
  } catch {
    return; // the result says why
  }
}
