/**
 * Whether to pack what a follower has to catch up with: what is faster, as measured. On a network it nearly always is; between two
 * processes on one computer, or for bytes that are dense already, it may not be.
 */

export interface PackPace {
  /** Whether the next block is worth an attempt. */
  readonly packs: boolean;
  /** How small an attempt has made a block. Dense bytes are left alone for a while. */
  packed(before: number, after: number): void;
  /** So many bytes of the log have left, packed or not. */
  sent(bytes: number): void;
}

export interface Beginning {
  /** What is to be tried first; absent: packing. */
  readonly packs?: boolean;
  /** And after so many bytes the other way. */
  readonly trialAfterBytes?: number;
}

/** What may be on its way (`windowBytes`): after a change of ways it still moves at the pace of the one before. */
const settleBytes = 4 * 1024 * 1024;
const spanBytes = 16 * 1024 * 1024;
/**
 * Where it goes slower than that it is most likely the network that holds us up, and packing pays, bytes a millisecond. Not surely: on a busy
 * computer whoever packs gets the CPU late, and packing was measured at 14 MB/s where 240 went through unpacked.
 */
const slowNetwork = 50_000;
/** So packing is compared there, too, but late: on a network that is slow the trial costs what 16 MB take, which is then a tenth or less. */
const firstTrialBytes = 128 * 1024 * 1024;
/** The other way has to be better by so much. */
const better = 1.1;
/** How far the first trial of the other way is from the next one; twice as far each time that it changes nothing. */
const nextTrialBytes = 256 * 1024 * 1024;
/** Before its time a trial comes only where the pace is on the other side of `slowNetwork` and has changed by this factor. */
const change = 2;

const denseShare = 0.8;
const leaveBytes = 1024 * 1024;
const leaveAtMostBytes = 64 * 1024 * 1024;

export function createPackPace(now: () => number = () => performance.now(), { packs = true, trialAfterBytes = firstTrialBytes }: Beginning = {}): PackPace {
  let way = packs;
  /** Of the way that was taken before a trial, bytes a millisecond; null: this is no trial. */
  let toBeat: number | null = null;
  let settled = 0;
  let measured = 0;
  let began = 0;
  let since = 0;
  /** Of the way that is taken, at the last trial, bytes a millisecond. */
  let won = 0;
  let untilTrial = trialAfterBytes;
  let trialEvery = nextTrialBytes;
  let leave = 0;
  let leaveNext = leaveBytes;

  const begin = (packs: boolean) => {
    way = packs;
    settled = 0;
    began = now();
  };
  const measure = () => {
    measured = 0;
    since = now();
  };
  const hasChanged = (pace: number) => (way ? pace > Math.max(slowNetwork, won * change) : pace < Math.min(slowNetwork, won / change));
  const afterTrial = (pace: number, old: number) => {
    const isBetter = pace > old * better;
    trialEvery = isBetter ? nextTrialBytes : trialEvery * 2;
    untilTrial = trialEvery;
    toBeat = null;
    won = isBetter ? pace : old;
    begin(isBetter ? way : !way);
  };

  return {
    get packs() {
      return way && leave <= 0;
    },
    packed(before, after) {
      if (after <= before * denseShare) {
        leaveNext = leaveBytes;
        return;
      }
      leave = leaveNext;
      leaveNext = Math.min(leaveNext * 2, leaveAtMostBytes);
    },
    sent(bytes) {
      leave -= bytes;
      untilTrial -= bytes;
      if (settled < settleBytes) {
        settled += bytes;
        measure();
      } else measured += bytes;
      const pace = measured / Math.max(1, now() - since);
      if (toBeat !== null) {
        const isLong = (now() - began) * toBeat > spanBytes;
        if (measured >= spanBytes || isLong) afterTrial(pace, toBeat);
        return;
      }
      if (measured < spanBytes) return;
      if (untilTrial <= 0 || hasChanged(pace)) {
        toBeat = pace;
        begin(!way);
      } else measure();
    },
  };
}
