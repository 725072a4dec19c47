/**
 * git's own pattern matching (wildmatch.c), step by step: the ignore rules have to decide exactly as git does, in the odd
 * cases too. Works on byte strings (`toBytes`): git's `?` is one byte, not one letter. May import nothing.
 */

/** One UTF-16 unit per UTF-8 byte. */
export function toBytes(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

type Outcome = 'match' | 'no-match' | 'abort' | 'abort-to-starstar';

/** `pathname`: `*` and `?` stop at slashes, `**` between slashes does not. */
export function wildmatch(pattern: string, text: string, pathname: boolean): boolean {
  return match(pattern, 0, text, 0, pathname) === 'match';
}

export function isGlobSpecial(character: string | undefined): boolean {
  return character === '*' || character === '?' || character === '[' || character === '\\';
}

function match(pattern: string, patternStart: number, text: string, textStart: number, pathname: boolean): Outcome {
  let t = textStart;
  for (let p = patternStart; p < pattern.length; p += 1, t += 1) {
    const c = pattern[p];
    if (t >= text.length && c !== '*') return 'abort';
    if (c === '?') {
      if (pathname && text[t] === '/') return 'no-match';
    } else if (c === '[') {
      const end = matchClass(pattern, p, text.charAt(t));
      if (end === 'malformed') return 'abort';
      if (end === 'outside' || (pathname && text[t] === '/')) return 'no-match';
      p = end;
    } else if (c === '*') {
      const star = readStar(pattern, p, patternStart, pathname);
      p = star.next;
      if (star.mayVanish && match(pattern, p + 1, text, t, pathname) === 'match') return 'match';
      if (p >= pattern.length) return !star.matchSlash && text.includes('/', t) ? 'no-match' : 'match';
      if (star.matchSlash || pattern[p] !== '/') return matchAfterStar(pattern, p, text, t, star.matchSlash, pathname);
      t = text.indexOf('/', t); // one star, then a slash: the next folder
      if (t === -1) return 'no-match';
    } else {
      if (c === '\\') p += 1;
      if (text[t] !== pattern[p]) return 'no-match';
    }
  }
  return t < text.length ? 'no-match' : 'match';
}

interface Star {
  /** Index behind the stars. */
  readonly next: number;
  readonly matchSlash: boolean;
  /** `**` and a slash: together they may stand for nothing. */
  readonly mayVanish: boolean;
}

function readStar(pattern: string, at: number, start: number, pathname: boolean): Star {
  let next = at + 1;
  while (pattern[next] === '*') next += 1;
  if (!pathname) return { next, matchSlash: true, mayVanish: false };
  const double = next - at > 1;
  const opens = at - 1 < start || pattern[at - 1] === '/';
  const closes = next >= pattern.length || pattern[next] === '/' || (pattern[next] === '\\' && pattern[next + 1] === '/');
  const matchSlash = double && opens && closes;
  return { next, matchSlash, mayVanish: matchSlash && pattern[next] === '/' };
}

/** Tries every length that the star before `p` could have. */
function matchAfterStar(pattern: string, p: number, text: string, from: number, matchSlash: boolean, pathname: boolean): Outcome {
  const literal = isGlobSpecial(pattern[p]) ? null : pattern[p];
  for (let t = from; t < text.length; t += 1) {
    if (literal !== null) {
      while (t < text.length && text[t] !== literal && (matchSlash || text[t] !== '/')) t += 1;
      if (text[t] !== literal) return 'no-match';
    }
    const outcome = match(pattern, p, text, t, pathname);
    if (outcome !== 'no-match') {
      if (!matchSlash || outcome !== 'abort-to-starstar') return outcome;
    } else if (!matchSlash && text[t] === '/') return 'abort-to-starstar';
  }
  return 'abort';
}

/** `at` is the opening bracket. The closing one's index when the character is in the class. */
function matchClass(pattern: string, at: number, character: string): number | 'outside' | 'malformed' {
  let p = at + 1;
  const negated = pattern[p] === '!' || pattern[p] === '^';
  if (negated) p += 1;
  let matched = false;
  let previous = '';
  do {
    let c = pattern.charAt(p);
    if (c === '') return 'malformed';
    if (c === '\\') {
      p += 1;
      c = pattern.charAt(p);
      if (c === '') return 'malformed';
      if (character === c) matched = true;
      previous = c;
    } else if (c === '-' && previous !== '' && pattern.charAt(p + 1) !== '' && pattern[p + 1] !== ']') {
      p += 1;
      if (pattern[p] === '\\') p += 1;
      const last = pattern.charAt(p);
      if (last === '') return 'malformed';
      if (character >= previous && character <= last) matched = true;
      previous = '';
    } else if (c === '[' && pattern[p + 1] === ':') {
      const close = pattern.indexOf(']', p + 2);
      if (close === -1) return 'malformed';
      if (close - p < 3 || pattern[close - 1] !== ':') {
        if (character === '[') matched = true; // no ":]": an ordinary set with a bracket in it
        previous = '[';
      } else {
        const named = namedClasses[pattern.slice(p + 2, close - 1)];
        if (named === undefined) return 'malformed';
        if (named.test(character)) matched = true;
        p = close;
        previous = '';
      }
    } else {
      if (character === c) matched = true;
      previous = c;
    }
    p += 1;
  } while (pattern[p] !== ']');
  return matched === negated ? 'outside' : p;
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
