/** A machine that fetches, without a connection to it: the call is answered as it stands. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FetchSeams, fetchData } from '../../remote-runner/fetch.ts';
import type { FetchParams, FetchProgress, FetchResult, FetchSource } from '../../src/protocol/fetch.ts';
import type { Call } from '../../src/protocol/peer.ts';
import { temporaryFolder } from './tree.ts';

export interface FetchingMachine {
  readonly root: string;
  readonly workdir: string;
  /** Milliseconds of every pause; none of them is waited for. */
  readonly slept: number[];
  fetch(
    sources: readonly (Partial<FetchSource> & { readonly from: string })[],
    more?: Partial<FetchParams> & { readonly signal?: AbortSignal },
  ): Promise<FetchResult & { readonly progress: FetchProgress[] }>;
  remove(): void;
}

export function makeFetchingMachine(seams: Partial<FetchSeams> = {}): FetchingMachine {
  const folder = temporaryFolder('fetching');
  const machine = { root: join(folder.path, 'machine'), workdir: join(folder.path, 'machine', 'workdir') };
  mkdirSync(machine.workdir, { recursive: true });
  const slept: number[] = [];
  const sleep: FetchSeams['sleep'] = async (ms, signal) => {
    signal.throwIfAborted();
    slept.push(ms);
  };
  return {
    ...machine,
    slept,
    remove: folder.remove,
    fetch: async (sources, { signal = new AbortController().signal, ...more } = {}) => {
      const progress: FetchProgress[] = [];
      const params = { sources: sources.map((source) => ({ to: 'data/x', sha256: null, ...source })), gone: [], outputs: [], ...more };
      const event = async (value: unknown) => void progress.push(value as FetchProgress);
      const result = await fetchData({ params, signal, event } as unknown as Call, machine, {
        env: { METADATA_SERVER_DETECTION: 'none' },
        systemRoot: folder.path,
        sleep,
        ...seams,
      });
      return { ...result, progress };
    },
  };
}
