/** How `top` may draw. */
import type { Style } from './style.ts';
import type { Glyphs } from './top-plot.ts';

export interface Look {
  readonly style: Style;
  readonly glyphs: Glyphs;
}
