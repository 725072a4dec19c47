/** What the terminal can show. */
import type { Style } from './render/style.ts';
import type { Look } from './render/top-look.ts';
import { asciiGlyphs, unicodeGlyphs } from './render/top-plot.ts';

/** Blocks and dots where the locale says UTF-8; the Linux console has no Braille. */
export function topLook(style: Style, env: Readonly<Record<string, string | undefined>>): Look {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return { style, glyphs: /utf-?8/i.test(locale) && env['TERM'] !== 'linux' ? unicodeGlyphs : asciiGlyphs };
}
