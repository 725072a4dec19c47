/** What is compared: the folders, what happens to them between two runs, who takes part, and what is wanted of ours. */
import type { Form } from './contender.ts';
import type { LinkName } from './network.ts';
import type { OursName } from './ours.ts';
import type { PeerName } from './peers.ts';
import { editInside, editOneSource, makeCsvFile, makeImages, makeNoiseFile, makeSources, moveIt } from './trees.ts';

export type WorkloadName = 'a' | 'b' | 'c' | 'd' | 'd2' | 'e' | 'f' | 'g' | 'h';

/** At most so much of the best rsync's time; or at least so much of what the line carries. */
export type Wanted = { readonly ratio: number } | { readonly line: number };

export type Edit = (folder: string, round: number) => () => void;

export interface Workload {
  readonly title: string;
  /** `scale`: 1 is the size in the title. What means little when it is small does not shrink as much, or not at all. */
  readonly make: (folder: string, scale: number) => void;
  /** What the folder's owner does before each round, prepared; absent: each run is a first one, into nothing. */
  readonly edit?: Edit;
  readonly links: readonly LinkName[];
  readonly peers: readonly PeerName[];
  /** Peers that take too long on the line: minutes for what others do in seconds. */
  readonly tooSlow?: readonly PeerName[];
  readonly ours: readonly OursName[];
  readonly wanted: Readonly<Partial<Record<LinkName, Readonly<Partial<Record<Form, Wanted>>>>>>;
  /** With the loopback, and with a line. */
  readonly rounds: readonly [number, number];
}

const everyRsync = ['rsync', 'rsync-z', 'rsync-open', 'rsync-z-open'] as const;
const noLine = ['scp', 'sftp'] as const;
const both = ['loopback', 'wan'] as const;
const giga = 1024 ** 3;

export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  a: {
    title: 'a. 4,600 source files, 16 MB: the first push',
    make: (folder) => makeSources(folder, 4600, 300, 'a'),
    links: both,
    peers: [...everyRsync, 'tar', ...noLine],
    tooSlow: noLine,
    ours: ['cold', 'warm', 'live', 'ssh2'],
    wanted: {
      loopback: { cold: { ratio: 1 }, warm: { ratio: 0.9 }, live: { ratio: 0.9 } },
      wan: { cold: { ratio: 0.75 }, warm: { ratio: 0.55 }, live: { ratio: 0.55 } },
    },
    rounds: [5, 5],
  },
  b: {
    title: 'b. 4,600 source files: one was edited',
    make: (folder) => makeSources(folder, 4600, 300, 'a'),
    edit: editOneSource,
    links: both,
    peers: everyRsync,
    ours: ['watch', 'cold', 'warm', 'live'],
    wanted: { loopback: { live: { ratio: 0.1 } }, wan: { live: { ratio: 0.1 } } },
    rounds: [9, 7],
  },
  c: {
    title: 'c. 50,000 source files in 3,300 folders: nothing has changed',
    make: (folder, scale) => makeSources(folder, 50_000 * Math.max(0.1, scale), 3300 * Math.max(0.1, scale), 'c'),
    edit: () => () => {},
    links: both,
    peers: everyRsync,
    ours: ['cold', 'warm', 'live'],
    wanted: { loopback: { cold: { ratio: 1 }, live: { ratio: 0.1 } }, wan: { cold: { ratio: 0.35 }, live: { ratio: 0.03 } } },
    rounds: [5, 5],
  },
  d: {
    title: 'd. 2 GB that nothing makes smaller: the first push',
    make: (folder, scale) => makeNoiseFile(folder, Math.ceil(2 * giga * scale)),
    links: both,
    peers: ['rsync', 'rsync-open', 'tar', ...noLine],
    ours: ['cold', 'warm', 'ssh2'],
    wanted: { loopback: { cold: { ratio: 1 } }, wan: { cold: { line: 0.97 } } },
    rounds: [3, 1],
  },
  d2: {
    title: "d'. 256 MB that nothing makes smaller: the first push",
    make: (folder, scale) => makeNoiseFile(folder, Math.ceil((giga / 4) * scale)),
    links: ['fat'],
    peers: ['rsync', 'rsync-open', 'tar'],
    ours: ['cold', 'warm', 'ssh2'],
    wanted: { fat: { cold: { ratio: 0.55 } } },
    rounds: [3, 5],
  },
  e: {
    title: 'e. 1 GB of comma-separated values: the first push',
    make: (folder, scale) => makeCsvFile(folder, Math.ceil(giga * scale)),
    links: both,
    peers: [...everyRsync, 'tar', ...noLine],
    tooSlow: noLine,
    ours: ['cold', 'warm'],
    wanted: { loopback: { cold: { ratio: 0.9 } }, wan: { cold: { ratio: 0.95 } } },
    rounds: [3, 1],
  },
  f: {
    title: 'f. 2 GB: 1 MB changed inside, 10 bytes put in front',
    make: (folder, scale) => makeNoiseFile(folder, Math.ceil(2 * giga * scale)),
    edit: (folder, round) => () => editInside(folder, round),
    links: both,
    peers: ['rsync', 'rsync-open'],
    ours: ['cold', 'warm'],
    wanted: { loopback: { cold: { ratio: 1 } }, wan: { cold: { ratio: 0.85 } } },
    rounds: [3, 3],
  },
  g: {
    title: 'g. 1 GB: moved into a new folder, under another name',
    make: (folder, scale) => makeNoiseFile(folder, Math.ceil(giga * scale)),
    edit: (folder, round) => () => moveIt(folder, round),
    links: both,
    peers: ['rsync', 'rsync-open'],
    ours: ['cold', 'warm'],
    wanted: { loopback: { cold: { ratio: 0.1 } }, wan: { cold: { ratio: 0.02 } } },
    rounds: [3, 1],
  },
  h: {
    title: 'h. 20,000 files of 15 to 45 KB that nothing makes smaller: the first push',
    make: (folder, scale) => makeImages(folder, Math.ceil(20_000 * scale)),
    links: both,
    peers: ['rsync', 'rsync-open', 'tar', ...noLine],
    tooSlow: noLine,
    ours: ['cold', 'warm', 'ssh2'],
    wanted: { loopback: { cold: { ratio: 0.85 } }, wan: { cold: { line: 0.95 } } },
    rounds: [3, 2],
  },
};
