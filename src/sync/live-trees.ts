/** The sources of a project, watched from push to push: a push then costs what has changed. May import core, protocol and `node:`. */
import { type Held, heldFile, loadHeld, saveHeld } from './held.ts';
import { type LiveTree, liveTree } from './live-tree.ts';
import { refuseUnreadable } from './plan.ts';
import { type LiveTrees, sourceKey, type TreeSpec } from './push.ts';
import type { Tree } from './tree.ts';

export interface WatchedTrees extends LiveTrees {
  /** Not every change is heard of. */
  readonly unsure: boolean;
  /** All is walked at the next push, whatever is known. */
  doubt(): void;
  /** Writes down what was learnt. */
  close(): void;
}

interface Watched {
  readonly live: LiveTree;
  readonly file: string;
  readonly held: Held;
  tree: Tree | null;
}

/** The oldest goes: each holds a watch a folder. */
const mostSources = 16;

/** `onChange`: told of whatever may be a change in any of them. */
export function watchTrees(onChange: () => void): WatchedTrees {
  const sources = new Map<string, Watched>();
  const close = ([key, { live, file, held, tree }]: readonly [string, Watched]) => {
    live.close();
    if (tree !== null && tree.folders !== held.folders) saveHeld(file, loadHeld(file), tree.folders);
    sources.delete(key);
  };
  return {
    get unsure() {
      return [...sources.values()].some(({ live }) => live.unsure);
    },
    prepare: async (spec, cacheFolder, signal) => {
      const key = JSON.stringify(spec);
      const source = sources.get(key) ?? open(spec, cacheFolder, onChange);
      const { live, file, held, tree: before } = source;
      sources.delete(key);
      sources.set(key, source);
      for (const oldest of sources) if (sources.size > mostSources) close(oldest);
      const { tree, notes } = await live.current(held.folders, signal);
      refuseUnreadable(notes.unreadable);
      source.tree = tree;
      if (before === null) saveHeld(file, held, tree.folders);
      return { spec, tree, before: before?.folders ?? held.folders, warnings: notes.warnings };
    },
    doubt: () => {
      for (const { live } of sources.values()) live.doubt();
    },
    close: () => {
      for (const source of sources) close(source);
    },
  };
}

function open(spec: TreeSpec, cacheFolder: string, onChange: () => void): Watched {
  const file = heldFile(cacheFolder, sourceKey(spec));
  return { live: liveTree(spec, onChange), file, held: loadHeld(file), tree: null };
}
