/**
 * What has changed in folders since somebody last looked, as the system tells it: the same bookkeeping at both ends. Imports its own
 * folder only; whoever uses it brings the watching.
 *
 * What it says is only as good as what it hears. So it gives up rather than guess: where a folder can't be watched, where more is heard at
 * once than the system's queue may hold (what does not fit is dropped there without a word), and where a name is missing.
 */

/** `onName`: something of this name has changed in the folder; null: the system does not say what. `onLost`: nothing is heard of it any more. Gives what ends it; null: it can't be watched. */
export type StartWatch = (absolute: string, onName: (name: string | null) => void, onLost: () => void) => (() => void) | null;

/** Names by folder, of what may have changed; null in place of the names: anything in there. */
export type Changes = ReadonlyMap<string, ReadonlySet<string> | null>;

export interface WatchedFoldersParts {
  readonly start: StartWatch;
  /** Where a folder lies. */
  readonly absolute: (folder: string) => string;
  /** Told of each change. */
  readonly onChange: () => void;
  /** So many changes in one turn are more than can be trusted. */
  readonly mostAtOnce: number;
}

export class WatchedFolders {
  readonly #parts: WatchedFoldersParts;
  readonly #stops = new Map<string, () => void>();
  #changes = new Map<string, Set<string> | null>();
  #lost = false;
  #inTurn = 0;

  constructor(parts: WatchedFoldersParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#stops.size;
  }

  has(folder: string): boolean {
    return this.#stops.has(folder);
  }

  /** What has changed can't be told. */
  get isLost(): boolean {
    return this.#lost;
  }

  /** From now on. To be called before the folder is listed: what comes later is heard of. */
  watch(folder: string): void {
    if (this.#stops.has(folder)) return;
    const { start, absolute } = this.#parts;
    const stop = start(
      absolute(folder),
      (name) => this.#hear(folder, name),
      () => this.#lose(),
    );
    if (stop === null) this.#lose();
    else this.#stops.set(folder, stop);
  }

  /** It, and what lies below it, is gone, or another one has its name. */
  forget(folder: string): void {
    for (const [path, stop] of this.#stops) {
      if (path !== folder && !path.startsWith(`${folder}/`)) continue;
      stop();
      this.#stops.delete(path);
    }
  }

  /** Keeps those only. */
  keep(folders: ReadonlySet<string>): void {
    for (const [path, stop] of this.#stops) {
      if (folders.has(path)) continue;
      stop();
      this.#stops.delete(path);
    }
  }

  /** A turn of the event loop is over. */
  endTurn(): void {
    this.#inTurn = 0;
  }

  /** Since the last call; null: it can't be told, and is not until `restart`. */
  take(): Changes | null {
    const changes = this.#changes;
    this.#changes = new Map();
    return this.#lost ? null : changes;
  }

  /** All watching is over; it may begin anew. */
  restart(): void {
    this.close();
    this.#lost = false;
    this.#changes = new Map();
    this.#inTurn = 0;
  }

  close(): void {
    for (const stop of this.#stops.values()) stop();
    this.#stops.clear();
  }

  #hear(folder: string, name: string | null): void {
    this.#inTurn += 1;
    if (this.#inTurn > this.#parts.mostAtOnce) this.#lost = true;
    const known = this.#changes.get(folder);
    if (name === null) this.#changes.set(folder, null);
    else if (known === undefined) this.#changes.set(folder, new Set([name]));
    else known?.add(name);
    this.#parts.onChange();
  }

  #lose(): void {
    const wasLost = this.#lost;
    this.#lost = true;
    if (!wasLost) this.#parts.onChange();
  }
}
