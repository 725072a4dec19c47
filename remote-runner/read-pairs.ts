/**
 * Lines of training loops that people write themselves: `epoch 3 step 120: loss=0.5, lr=1e-4`, `Epoch [3/10], Step [100/600], Loss: 0.25`,
 * `iter 100: loss 2.3`. A line counts when it says where the training is and holds a number with a name that trainings use: a false
 * metric does more harm than one that is missed, which a regular expression in the config finds.
 */
import { isKnownName, pairsIn, type Sighting } from './metric-text.ts';

const place = (word: string) => new RegExp(`(?<![\\w-])(?:${word})\\b\\s*[:=#]?\\s*[[(]?\\s*(\\d+)(?!\\d|[.,:-]\\d|%)(?:\\s*\\/\\s*(\\d+))?`, 'i');
const epochPlace = place('epoch');
const stepPlace = place('global[_ ]step|step|iter|iteration');
/** `Epoch: [0]  [ 20/235]`: batches behind the epoch. */
const batchPlace = /(?<![\w-])epoch\b\s*:?\s*\[\d+\]\s*\[\s*(\d+)\/(\d+)\]/i;
/** Some part of each known name: most lines that tell nothing are done with here. */
const hint = /loss|acc|lr|learn|ppl|perpl|bleu|rouge|f1|auc|m[as]e|iou|map|psnr|ssim|reward|return|precision|recall|norm/i;

/** What the bars' own reader has left alone. */
const bar = /%\||\bit\/s|s\/it\b/;

type PairsReader = (text: string) => Sighting | null;

export function createPairsReader(): PairsReader {
  const seen = { zero: false };
  return (text) => readPairs(text, seen);
}

/** `zero`: an epoch 0 out of a number was seen. */
function readPairs(text: string, seen: { zero: boolean }): Sighting | null {
  if (!hint.test(text) || bar.test(text)) return null;
  const epoch = epochPlace.exec(text);
  const batch = batchPlace.exec(text);
  const step = batch ?? stepPlace.exec(text);
  if (epoch === null && step === null) return null;
  const values = pairsIn(text).filter(([name]) => !isPlace(name));
  if (!values.some(([name]) => isKnownName(name))) return null;
  const epochNumber = epoch === null ? null : Number(epoch[1]);
  const isOutOf = epoch?.[2] !== undefined;
  seen.zero ||= isOutOf && epochNumber === 0;
  return {
    source: 'pairs',
    values: { ...Object.fromEntries(values), ...total('total', step), ...total('total_epochs', epoch) },
    step: stepOf(step, epochNumber, isOutOf && !seen.zero),
    epoch: epochNumber,
    bar: null,
  };
}

/** The names under which progress bars and jobs themselves tell it; `total` is of one epoch where epochs are told of. */
function total(name: string, place: RegExpExecArray | null): Record<string, number> {
  return place?.[2] === undefined ? {} : { [name]: Number(place[2]) };
}

/** A step out of a number of steps, beside an epoch, is one of that epoch. */
function stepOf(step: RegExpExecArray | null, epoch: number | null, fromOne: boolean): number | null {
  if (step === null) return null;
  const [, count, total] = step;
  if (total === undefined || epoch === null) return Number(count);
  return Math.max(0, fromOne ? epoch - 1 : epoch) * Number(total) + Number(count);
}

function isPlace(name: string): boolean {
  return /^(?:global_)?(?:epochs?|steps?|iters?|iterations?)$/i.test(name);
}
