/**
 * git's patterns as regular expressions. The ignore rules have to decide exactly as git does, in the odd cases too, so this
 * follows git's wildmatch.c. Works on byte strings (`toBytes`): git's `?` is one byte, not one letter. May import nothing.
 */

/** One UTF-16 unit per UTF-8 byte. */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

export function isGlobSpecial(character: string | undefined): boolean {
  return character === '*' || character === '?' || character === '[' || character === '\\';
}

/**
 * Matches whole byte strings. null: the pattern is malformed and matches nothing.
 * @param pathname `*` and `?` stop at slashes, `**` between slashes does not
 */
export function compilePattern(pattern: string, pathname: boolean): RegExp | null {
  let source = '';
  for (let at = 0; at < pattern.length; ) {
    const piece = readPiece(pattern, at, pathname);
    if (piece === null) return null;
    source += piece.source;
    at = piece.next;
  }
  return new RegExp(`^${source}$`, 's');
}

interface Piece {
  readonly source: string;
  readonly next: number;
}

function readPiece(pattern: string, at: number, pathname: boolean): Piece | null {
  const character = pattern.charAt(at);
  if (character === '?') return { source: pathname ? '[^/]' : '.', next: at + 1 };
  if (character === '[') return readClass(pattern, at, pathname);
  if (character === '*') return readStars(pattern, at, pathname);
  const literal = readCharacter(pattern, at);
  return literal === null ? null : { source: setOf([literal.character]), next: literal.next };
}

/** Two or more stars cross folders only where they stand for whole names; with the slash behind them they may stand for nothing. */
function readStars(pattern: string, at: number, pathname: boolean): Piece {
  let next = at + 1;
  while (pattern[next] === '*') next += 1;
  if (!pathname) return { source: '.*', next };
  const opens = at === 0 || pattern[at - 1] === '/';
  const closes = next === pattern.length || pattern[next] === '/' || pattern.startsWith('\\/', next);
  if (next - at === 1 || !opens || !closes) return { source: '[^/]*', next };
  return pattern[next] === '/' ? { source: '(?:.*/)?', next: next + 1 } : { source: '.*', next };
}

interface ClassItem {
  readonly next: number;
  /** What a following `-` starts from; empty: it starts no range. */
  readonly character: string;
  readonly has: (character: string) => boolean;
}

const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));

/** `at` is the opening bracket. The first thing inside is never the closing one. */
function readClass(pattern: string, at: number, pathname: boolean): Piece | null {
  const negated = pattern[at + 1] === '!' || pattern[at + 1] === '^';
  const items: ClassItem[] = [];
  let next = at + (negated ? 2 : 1);
  do {
    const item = readClassItem(pattern, next, items.at(-1)?.character ?? '');
    if (item === null) return null;
    items.push(item);
    next = item.next;
  } while (pattern[next] !== ']');
  const members = bytes.filter((byte) => items.some(({ has }) => has(byte)) !== negated && !(pathname && byte === '/'));
  return { source: setOf(members), next: next + 1 };
}

function readClassItem(pattern: string, at: number, previous: string): ClassItem | null {
  if (pattern.startsWith('[:', at)) {
    const named = readNamedClass(pattern, at);
    if (named !== 'no-name') return named;
  }
  const isRange = pattern[at] === '-' && previous !== '' && at + 1 < pattern.length && pattern[at + 1] !== ']';
  const literal = readCharacter(pattern, isRange ? at + 1 : at);
  if (literal === null) return null;
  const { character, next } = literal;
  if (isRange) return { next, character: '', has: (byte) => byte >= previous && byte <= character };
  return { next, character, has: (byte) => byte === character };
}

/** `[:alpha:]`. 'no-name': an ordinary bracket in a set. */
function readNamedClass(pattern: string, at: number): ClassItem | null | 'no-name' {
  const close = pattern.indexOf(']', at + 2);
  if (close === -1) return null;
  if (close - at < 3 || pattern[close - 1] !== ':') return 'no-name';
  const named = namedClasses[pattern.slice(at + 2, close - 1)];
  return named === undefined ? null : { next: close + 1, character: '', has: (byte) => named.test(byte) };
}

/** One character, or the one behind a backslash. null: the pattern ends before it. */
function readCharacter(pattern: string, at: number): { readonly character: string; readonly next: number } | null {
  const from = pattern[at] === '\\' ? at + 1 : at;
  const character = pattern.charAt(from);
  return character === '' ? null : { character, next: from + 1 };
}

/** An empty set matches nothing. */
function setOf(characters: readonly string[]): string {
  return `[${characters.map((character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')}]`;
}

/** As git's ctype table has them: ASCII only, `space` without vertical tab and form feed. */
const namedClasses: Readonly<Record<string, RegExp>> = {
  alnum: /[a-z0-9]/i,
  alpha: /[a-z]/i,
  blank: /[ \t]/,
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what the class is
  cntrl: /[\x00-\x1f\x7f]/,
  digit: /[0-9]/,
  graph: /[\x21-\x7e]/,
  lower: /[a-z]/,
  print: /[\x20-\x7e]/,
  punct: /[!-/:-@[-`{-~]/,
  space: /[ \t\n\r]/,
  upper: /[A-Z]/,
  xdigit: /[0-9a-f]/i,
};
