/** What the readers of logs have in common: text without colours, numbers as programs print them, `name=value` pairs. */

/** What a line says, before anybody has decided whether it is worth a record. */
export interface Sighting {
  readonly source: 'hugging-face' | 'keras' | 'lightning' | 'tqdm' | 'pairs';
  /** May hold NaN and infinities. */
  readonly values: Readonly<Record<string, number>>;
  readonly step: number | null;
  readonly epoch: number | null;
  /** Of a bar that is drawn again and again; `complete`: it has reached its end; `evaluates`: it is beside the training. */
  readonly bar: { readonly complete: boolean; readonly evaluates: boolean } | null;
}

const esc = String.fromCharCode(27);
const backspace = '\b';
const controls = new RegExp(`${esc}\\[[0-9;?]*[ -/]*[@-~]|${backspace}`, 'g');

/** Without ANSI sequences and backspaces, each blank a single one: many of them are what the readers' expressions would be slow on. */
export function plainText(line: string): string {
  const plain = line.includes(esc) || line.includes(backspace) ? line.replace(controls, '') : line;
  return plain.replace(/\s{2,}/g, ' ').trim();
}

const numberText = '[-+]?(?:\\d+(?:\\.\\d*)?|\\.\\d+)(?:[eE][-+]?\\d+)?|[-+]?(?:nan|inf(?:inity)?)';
const wholeNumber = new RegExp(`^(?:${numberText})$`, 'i');

/** As Python, C and JavaScript print them; null: it is none. NaN is one. */
export function numberIn(text: string): number | null {
  if (!wholeNumber.test(text)) return null;
  const lower = text.toLowerCase();
  if (lower.endsWith('nan')) return Number.NaN;
  if (lower.includes('inf')) return lower.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

/** What may stand behind a number: not the comma of `1,234`. */
const end = '(?=$|[\\s;|)\\]}]|,(?!\\d)|\\.(?:\\s|$))';

/** Words in front of a name that make it another one: a loss of the training, and one of the validation. */
const whose = '(?:(?:train|training|val|valid|validation|test|testing|eval|evaluation)[ _](?=loss|acc|lr|ppl|perpl|grad)|learning[ _](?=rate))?';

/** A name, `=` or `:`, a number and nothing that would make it part of a time, a version, an address or a path. */
const pair = new RegExp(`(?<![\\w./@-])(${whose}[A-Za-z_][\\w@./-]*)(?:\\s*=\\s*|:\\s*)(${numberText})%?${end}`, 'gi');

/** Numbers that are about the work, not about the model. */
const notMeasured = new Set(
  'time timestamp ts eta elapsed duration data pid port rank local_rank seed gpu device node worker id line version v_num mem memory size bytes __proto__'.split(
    ' ',
  ),
);

/** A known name and its value with nothing but spaces between them, as in `train loss 2.31` and `Acc@1  39.06 ( 12.5)`. */
const spaced = new RegExp(
  `(?<![\\w./@-])(${whose}(?:loss|acc|accuracy|acc@\\d|lr|ppl|perplexity|grad[_ ]norm))\\s+([-+]?\\d[\\d.]*(?:e[-+]?\\d+)?|nan)(?=$|[\\s;|)]|,(?!\\d))`,
  'gi',
);

/** `name=value`, `name: value`, and `loss 0.5`; each name once: the last one counts. */
export function pairsIn(text: string): [string, number][] {
  const pairs = new Map<string, number>();
  for (const [, name = '', value = ''] of text.matchAll(spaced)) {
    const number = numberIn(value);
    if (number !== null) pairs.set(name.replace(' ', '_'), number);
  }
  for (const [, name = '', value = ''] of text.matchAll(pair)) {
    const number = numberIn(value);
    if (number !== null && isMeasured(name)) pairs.set(name.replace(' ', '_'), number);
  }
  return [...pairs];
}

export function isMeasured(name: string): boolean {
  return !notMeasured.has(name.toLowerCase());
}

const known =
  /(?:^|[_./@ -]|train|val|valid|test|eval)(?:(?:[a-z]*loss\d*|acc\d*|accuracy|lr|learning_rate|ppl|perplexity|bleu|rouge\w*|f1|auc|mse|mae|rmse|miou|iou|map|psnr|ssim|reward|return|precision|recall|grad_norm|gnorm)(?:$|[_./@ -]))/i;

/** A name that people give to what a training measures. */
export function isKnownName(name: string): boolean {
  return known.test(name);
}
