/**
 * The magic line: the runner's first word, before the first frame. Whatever a login shell printed before it is discarded.
 * Imports its own folder only.
 */
import { FrameError, protocolVersion } from './frame.ts';

const magicPrefix = 'GPU-RUN-RUNNER/';

const watchedWord = ' watched';

/** What the runner says of itself. */
export interface Introduction {
  readonly version: string;
  /** The watchdog has an order that this version can read. */
  readonly isWatched: boolean;
}

export function magicLine({ version, isWatched }: Introduction): string {
  return `\n${magicPrefix}${protocolVersion} ${version}${isWatched ? watchedWord : ''}\n`;
}

const longestNoise = 1024 * 1024;
const shownNoise = 4096;

/** Finds the magic line in front of the frames. */
export class MagicScanner {
  /** The end of what was seen: enough to show, and always the whole unfinished line. */
  #tail: Uint8Array = new Uint8Array(0);
  #seen = 0;
  #introduced = false;

  /** True once the magic line was found. */
  get introduced(): boolean {
    return this.#introduced;
  }

  /** Everything before the magic line, at most the last 4 KiB of it: shown when the runner never answers. */
  get noise(): string {
    return new TextDecoder().decode(this.#tail.subarray(-shownNoise));
  }

  /**
   * null until the whole line has been seen; then what it says and the bytes after it.
   * @throws FrameError when the peer speaks another protocol version, or after 1 MiB without the line.
   */
  push(chunk: Uint8Array): (Introduction & { readonly rest: Uint8Array }) | null {
    this.#seen += chunk.length;
    this.#tail = concat(this.#tail, chunk);
    const match = /\nGPU-RUN-RUNNER\/(\d+) ([^\n]*)\n/.exec(new TextDecoder('latin1').decode(this.#tail));
    if (match === null) {
      if (this.#seen > longestNoise) throw new FrameError('the runner did not introduce itself within 1 MiB of output');
      const line = this.#tail.lastIndexOf(0x0a);
      this.#tail = this.#tail.subarray(Math.max(0, Math.min(line, this.#tail.length - shownNoise)));
      return null;
    }
    if (Number(match[1]) !== protocolVersion) {
      throw new FrameError(`the runner speaks protocol ${match[1]}, this gpu-run speaks ${protocolVersion}`);
    }
    this.#introduced = true;
    const words = match[2] ?? '';
    const isWatched = words.endsWith(watchedWord);
    const version = isWatched ? words.slice(0, -watchedWord.length) : words;
    return { version, isWatched, rest: this.#tail.subarray(match.index + match[0].length) };
  }
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const out = new Uint8Array(head.length + tail.length);
  out.set(head);
  out.set(tail, head.length);
  return out;
}
