/** Progress bars where nobody watches them move: as lines that can be kept. */
import type { LineFilter, Timed } from './log-lines.ts';

const newline = 0x0a;
const carriageReturn = 0x0d;
const backspace = 0x08;

/** Of a bar that goes on for long, one state each so many milliseconds. */
const foldedEveryMs = 30_000;
/** Longer lines are no progress bars. */
const longestLine = 64 * 1024;

/**
 * Of the states of one line, each of which a carriage return overwrites, only the last is left, and one every half minute while
 * it goes on. Lines without a carriage return, and such that end in `\r\n`, stay as they are. Lines are held back until they end.
 */
export function createFold(now: () => number): LineFilter {
  /** What came since the last end of a line or of a state. */
  let open: Buffer = Buffer.alloc(0);
  let openAt: number | null = null;
  /** The newest whole state of this line that was not shown. */
  let state: Timed | null = null;
  let isBar = false;
  let isLong = false;
  /** A carriage return came last: whether it ends a state or the line, what follows says. */
  let returned = false;
  let shownAt = 0;

  const reset = () => {
    open = Buffer.alloc(0);
    state = null;
    isBar = false;
    isLong = false;
    returned = false;
  };
  const lastState = (): Timed[] => {
    const last = isBlank(open) ? state : { bytes: open, at: openAt };
    return last === null ? [] : [asLine(last)];
  };
  const endState = (at: number | null): Timed[] => {
    const time = at ?? now();
    if (!isBar) shownAt = time;
    isBar = true;
    returned = false;
    if (!isBlank(open)) state = { bytes: open, at: openAt };
    open = Buffer.alloc(0);
    if (state === null || time - shownAt < foldedEveryMs) return [];
    const shown = asLine(state);
    state = null;
    shownAt = time;
    return [shown];
  };
  const endLine = (at: number | null): Timed[] => {
    const whole = { bytes: Buffer.concat([open, Buffer.from(returned ? '\r\n' : '\n')]), at: open.length === 0 ? at : openAt };
    const shown = isBar ? lastState() : [whole];
    reset();
    return shown;
  };
  const takeText = (bytes: Uint8Array, at: number | null): Timed[] => {
    if (open.length === 0) openAt = at;
    open = Buffer.concat([open, bytes]);
    if (!isLong && open.length <= longestLine) return [];
    isLong = true;
    const shown = [...(state === null ? [] : [asLine(state)]), { bytes: open, at: openAt }];
    open = Buffer.alloc(0);
    state = null;
    isBar = false;
    return shown;
  };

  return {
    push({ bytes, at }) {
      const ready: Timed[] = [];
      for (let from = 0; from < bytes.length; ) {
        const byte = bytes[from];
        const isReturn = byte === carriageReturn && !isLong;
        if (returned && byte !== newline) ready.push(...endState(at));
        if (byte === newline) ready.push(...endLine(at));
        returned ||= isReturn;
        const end = byte === newline || isReturn ? from + 1 : endOfText(bytes, from, isLong);
        if (byte !== newline && !isReturn) ready.push(...takeText(bytes.subarray(from, end), at));
        from = end;
      }
      return ready;
    },
    rest() {
      const whole = { bytes: Buffer.concat([open, Buffer.from(returned ? '\r' : '')]), at: openAt };
      const shown = isBar ? lastState() : [whole];
      reset();
      return shown.filter(({ bytes }) => bytes.length > 0);
    },
  };
}

/** Up to the next end of a line or a state. */
function endOfText(bytes: Uint8Array, from: number, isLong: boolean): number {
  const line = bytes.indexOf(newline, from);
  const end = line < 0 ? bytes.length : line;
  const state = isLong ? -1 : bytes.subarray(from, end).indexOf(carriageReturn);
  return state < 0 ? end : from + state;
}

/** Nothing that could be seen: spaces, backspaces, and what erases a line. */
function isBlank(bytes: Buffer): boolean {
  const text = bytes.toString('latin1').replaceAll('\u001b[K', '').replaceAll('\u001b[2K', '').replaceAll(String.fromCharCode(backspace), '');
  return text.trim() === '';
}

function asLine({ bytes, at }: Timed): Timed {
  return { bytes: Buffer.concat([bytes, Buffer.from('\n')]), at };
}
