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

/** Words in front of a name that make it another one: a loss of the training and one of the validation, the present one and its mean. */
const qualifier =
  'train|training|val|valid|validation|test|testing|eval|evaluation|avg|average|mean|running|smoothed|smooth|ema|moving|rolling|total|sum|' +
  'best|last|final|current|cur|min|max|batch|epoch|step|iter|global|local|aux|auxiliary|gen|generator|disc|discriminator';
const whose = `(?:(?:(?:${qualifier})[ _]){1,3}(?=loss|acc|lr|ppl|perpl|grad)|learning[ _](?=rate))?`;

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

/** Any other word in front: it tells two values of one name apart. */
const wordBefore = /(?<![\w./@-])([a-z][\w-]*) $/i;

interface Pair {
  readonly name: string;
  readonly value: number;
  /** With the word in front of it. */
  readonly longName: string;
}

/** `name=value`, `name: value`, and `loss 0.5`; of one name the last counts, unless a word in front of each tells them apart. */
export function pairsIn(text: string): [string, number][] {
  const found = [...matches(text, spaced), ...matches(text, pair).filter(({ name }) => isMeasured(name))];
  const longNames = new Map<string, Set<string>>();
  for (const { name, longName } of found) longNames.set(name, (longNames.get(name) ?? new Set()).add(longName));
  return [...new Map(found.map(({ name, longName, value }) => [(longNames.get(name)?.size ?? 0) > 1 ? longName : name, value]))];
}

function matches(text: string, pattern: RegExp): Pair[] {
  return [...text.matchAll(pattern)].flatMap(({ 1: words = '', 2: number = '', index }) => {
    const value = numberIn(number);
    if (value === null) return [];
    const name = words.replaceAll(' ', '_');
    const before = wordBefore.exec(text.slice(Math.max(0, index - 40), index))?.[1];
    return [{ name, value, longName: before === undefined ? name : `${before}_${name}` }];
  });
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
