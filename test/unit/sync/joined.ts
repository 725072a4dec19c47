/** A laptop's and a machine's end of the protocol in one process, over memory; the wire can be cut after any number of bytes. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncCalls } from '../../../remote-runner/sync-calls.ts';
import { PeerClosedError } from '../../../src/protocol/call-state.ts';
import type { PackedBytes } from '../../../src/protocol/packed.ts';
import { type OpenCall, type Part, Peer } from '../../../src/protocol/peer.ts';
import { unpack } from '../../../src/runner/unpack.ts';
import { type PulledFile, pullOutputs } from '../../../src/sync/pull.ts';
import { type PushOptions, type PushTotals, pushTree } from '../../../src/sync/push.ts';
import type { Open } from '../../../src/sync/transfer.ts';
import { temporaryFolder } from '../../support/tree.ts';

export interface Wire {
  readonly open: Open;
  /** Bytes to the machine and back, frames included. */
  readonly traffic: { up: number; down: number; turns: number };
  /** Resolves when the machine has ended all calls. */
  idle(): Promise<void>;
}

/** @param cutAfter bytes in either direction; then the connection is gone at both ends */
export function joinPeers(machine: { root: string; workdir: string }, cutAfter = Number.POSITIVE_INFINITY): Wire {
  const traffic = { up: 0, down: 0, turns: 0 };
  const running = new Set<Promise<unknown>>();
  let lastDirection = '';
  let cut = false;
  const carry =
    (direction: 'up' | 'down', to: () => Peer) =>
    async (...parts: readonly Uint8Array[]) => {
      const bytes = Buffer.concat(parts);
      if (lastDirection !== direction) traffic.turns += 1;
      lastDirection = direction;
      traffic[direction] += bytes.length;
      if (!cut && traffic.up + traffic.down > cutAfter) {
        cut = true;
        laptop.close(new PeerClosedError('cut'));
        remote.close(new PeerClosedError('cut'));
      }
      if (cut) throw new PeerClosedError('cut');
      await to().feed(bytes);
    };
  const remote: Peer = new Peer(
    carry('down', () => laptop),
    (call) => {
      const answer = syncCalls[call.op];
      if (answer === undefined) throw new Error(`no call ${call.op}`);
      const run = answer(call, machine);
      running.add(run);
      void run.catch(() => {}).finally(() => running.delete(run));
      return run;
    },
    crc32,
    unpack,
  );
  const laptop: Peer = new Peer(
    carry('up', () => remote),
    null,
    crc32,
    unpack,
  );
  return {
    open: cutAfter === Number.POSITIVE_INFINITY ? (op, params) => laptop.open(op, params) : (op, params) => unpacked(laptop, op, params),
    traffic,
    idle: async () => {
      await Promise.allSettled([...running]);
    },
  };
}

/** Nothing is packed: where the wire is to be cut after so many bytes, they are to be those of the files. */
function unpacked(laptop: Peer, op: string, params: unknown): OpenCall {
  const call = laptop.open(op, { ...(params as object), unpacks: [] });
  const parts = call.parts();
  async function* plain(): AsyncGenerator<Part> {
    for await (const part of parts) yield part.kind === 'block' ? part : { kind: 'event', value: { ...(part.value as object), unpacks: [] } };
  }
  return Object.assign(call, { parts: plain });
}

/** Runs something each time the laptop is about to send a block. */
export function beforeBlocks(wire: Wire, happen: (offset: number) => void): Wire {
  const open: Open = (op, params) => {
    const call = wire.open(op, params);
    const { block, packed } = { block: call.block.bind(call), packed: call.packed.bind(call) };
    return Object.assign(call, {
      block: (offset: number, bytes: Uint8Array) => {
        happen(offset);
        return block(offset, bytes);
      },
      packed: (offset: number, bytes: PackedBytes) => {
        happen(offset);
        return packed(offset, bytes);
      },
    });
  };
  return { ...wire, open };
}

/** A source folder, a machine and a cache, all empty. */
export function makeLab(name: string) {
  const folder = temporaryFolder(name);
  const source = join(folder.path, 'source');
  const cacheFolder = join(folder.path, 'cache');
  const machine = { root: join(folder.path, 'machine'), workdir: join(folder.path, 'machine', 'workdir') };
  mkdirSync(source);
  mkdirSync(machine.workdir, { recursive: true });
  const ignore = { exclude: [], globalExcludes: null };
  return {
    source,
    cacheFolder,
    machine,
    path: folder.path,
    remove: folder.remove,
    push: async (
      options: {
        outputs?: string[];
        wire?: Wire;
        to?: string;
        from?: string;
        others?: string[];
        never?: string[];
        exclude?: string[];
        /** Nothing is remembered of the machine. */
        isStranger?: boolean;
        signal?: AbortSignal;
        onSurprise?: PushOptions['onSurprise'];
      } = {},
    ): Promise<PushTotals & { turns: number }> => {
      const wire = options.wire ?? joinPeers(machine);
      const { to = '', from = source, others = [], never = [], exclude = [] } = options;
      const spec = { from, to, others, never, ignore: to === '' ? { ...ignore, exclude } : null };
      try {
        const totals = await pushTree(spec, {
          open: wire.open,
          cacheFolder,
          ...(options.isStranger === true ? {} : { machine: 'machine' }),
          outputs: options.outputs ?? [],
          ...(options.signal === undefined ? {} : { signal: options.signal }),
          ...(options.onSurprise === undefined ? {} : { onSurprise: options.onSurprise }),
        });
        return { ...totals, turns: wire.traffic.turns };
      } finally {
        await wire.idle();
      }
    },
    pull: async (paths: string[], into = source): Promise<{ files: readonly PulledFile[]; warnings: string[] }> => {
      const warnings: string[] = [];
      const files = await pullOutputs({ open: joinPeers(machine).open, paths, into, onWarning: (text) => warnings.push(text) });
      return { files, warnings };
    },
  };
}

export type Lab = ReturnType<typeof makeLab>;
