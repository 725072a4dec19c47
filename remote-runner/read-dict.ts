/**
 * Python dictionaries alone on a line, as the Trainer of Hugging Face prints them: `{'loss': 0.5, 'epoch': 0.5}`. Since version 5
 * the numbers are texts: `{'loss': '0.5', 'epoch': '0.5'}` (transformers, trainer_callback.py, `ProgressCallback.on_log`).
 */
import { isKnownName, isMeasured, numberIn, type Sighting } from './metric-text.ts';

const entry = /'([^'\\]{1,200})': (?:'([^'\\]*)'|((?:np\.float\d+|tensor)\([^()]*\)|[^\s,'{}[\]()]+))(?:, |$)/y;
/** Says how many tokens or operations there were, and nothing about the model. */
const ignored = new Set(['step', 'global_step', 'epoch', 'total_flos']);

export function readDict(text: string): Sighting | null {
  if (!text.startsWith("{'") || !text.endsWith('}')) return null;
  const numbers = new Map<string, number>();
  const inner = text.slice(1, -1);
  for (entry.lastIndex = 0; entry.lastIndex < inner.length; ) {
    const [, name = '', quoted, bare] = entry.exec(inner) ?? [];
    if (quoted === undefined && bare === undefined) return null; // something deeper, or no dictionary at all
    const number = numberIn((quoted ?? bare ?? '').replace(/^[a-z0-9.]+\(|\)$/g, ''));
    if (number !== null) numbers.set(name, number);
  }
  const values = [...numbers].filter(([name]) => !ignored.has(name) && isMeasured(name));
  if (values.length === 0 || !values.some(([name]) => isKnownName(name) || /^(eval|train)_/.test(name))) return null;
  const place = (...names: string[]) => names.map((name) => numbers.get(name)).find((number) => number !== undefined && Number.isFinite(number)) ?? null;
  return { source: 'hugging-face', values: Object.fromEntries(values), step: place('step', 'global_step'), epoch: place('epoch'), bar: null };
}
