/** A bar that is drawn again ten times a second is one record a second, and one whenever it has come to its end. */
import type { Sighting } from './metric-text.ts';

export interface Seen {
  readonly sighting: Sighting;
  /** Offset behind its line. */
  readonly at: number;
}

export interface Pace {
  /** What is to be recorded now that this was seen, in order. */
  add(seen: Seen, now: number): readonly Seen[];
  /** What was held back, and is due after a second, or complete, or anything. */
  due(now: number, which: 'due' | 'complete' | 'all'): readonly Seen[];
  readonly isHolding: boolean;
  /** What is held has come to its end: any other line behind it makes it due. */
  readonly isComplete: boolean;
}

const everyMs = 1_000;

export function createPace(): Pace {
  let held: (Seen & { readonly since: number }) | null = null;
  let toldAt = Number.NEGATIVE_INFINITY;
  let last: Sighting | null = null;

  const tell = (seen: Seen, now: number): readonly Seen[] => {
    held = null;
    toldAt = now;
    const fresh = withoutRepeats(seen.sighting, last);
    last = seen.sighting;
    return fresh === null ? [] : [{ sighting: fresh, at: seen.at }];
  };
  return {
    add(seen, now) {
      const { sighting } = seen;
      const before = held;
      const isOther = before !== null && (before.sighting.epoch !== sighting.epoch || before.sighting.step !== sighting.step);
      const ended = before !== null && isOther && (before.sighting.bar?.complete === true || before.sighting.epoch !== sighting.epoch) ? tell(before, now) : [];
      if (sighting.bar?.complete !== true && now - toldAt >= everyMs) return [...ended, ...tell(seen, now)];
      // The last state of a bar is often drawn twice, the second time with the numbers of a validation.
      held = { ...seen, since: isOther || before === null ? now : before.since };
      return ended;
    },
    due(now, which) {
      if (held === null) return [];
      const isDue = which === 'due' ? now - held.since >= everyMs : which === 'all' || held.sighting.bar?.complete === true;
      return isDue ? tell(held, now) : [];
    },
    get isHolding() {
      return held !== null;
    },
    get isComplete() {
      return held?.sighting.bar?.complete === true;
    },
  };
}

/** Of the same step only what is new; null: nothing is. */
function withoutRepeats(sighting: Sighting, last: Sighting | null): Sighting | null {
  if (last === null || last.step !== sighting.step || last.epoch !== sighting.epoch) return sighting;
  const fresh = Object.entries(sighting.values).filter(([name, value]) => last.values[name] !== value && name !== 'rate');
  return fresh.length === 0 ? null : { ...sighting, values: Object.fromEntries(fresh) };
}
