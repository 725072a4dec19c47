/** Text from elsewhere in HTML and SVG: names of jobs, metrics, cards. */
import { harmless } from './text.ts';

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Fit for text and for attributes in quotes. */
export function escaped(text: string): string {
  return harmless(text).replace(/[&<>"']/g, (char) => entities[char] ?? '');
}
