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

/** What may be on its way (`windowBytes`): after a change of ways it still moves at the pace of the one before. */
const settleBytes = 4 * 1024 * 1024;
const spanBytes = 16 * 1024 * 1024;
/** Where it goes slower than that it is the network that holds us up, and packing pays, bytes a millisecond. */
const slowNetwork = 50_000;
/** The other way has to be better by so much. */
const better = 1.1;
/** How far the first trial of the other way is from the next one; twice as far each time that it changes nothing. */
const nextTrialBytes = 256 * 1024 * 1024;

const denseShare = 0.8;
const leaveBytes = 1024 * 1024;
const leaveAtMostBytes = 64 * 1024 * 1024;

export function createPackPace(now: () => number = () => performance.now()): PackPace {
  let way = true;
  /** Of the way that was taken before a trial, bytes a millisecond; null: this is no trial. */
  let toBeat: number | null = null;
  let settled = 0;
  let measured = 0;
  let since = 0;
  let untilTrial = 0;
  let trialEvery = nextTrialBytes;
  let leave = 0;
  let leaveNext = leaveBytes;

  const begin = (packs: boolean) => {
    way = packs;
    settled = 0;
    measured = 0;
  };
  const afterTrial = (pace: number, old: number) => {
    const isBetter = pace > old * better;
    trialEvery = isBetter ? nextTrialBytes : trialEvery * 2;
    untilTrial = trialEvery;
    toBeat = null;
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
      if (settled < settleBytes) {
        settled += bytes;
        since = now();
        return;
      }
      measured += bytes;
      const pace = measured / Math.max(1, now() - since);
      if (toBeat !== null) {
        const isLost = (now() - since) * toBeat > spanBytes;
        if (measured >= spanBytes || isLost) afterTrial(pace, toBeat);
        return;
      }
      untilTrial -= bytes;
      if (measured < spanBytes) return;
      if (way ? untilTrial > 0 || pace < slowNetwork : untilTrial > 0 && pace >= slowNetwork) {
        measured = 0;
        since = now();
        return;
      }
      toBeat = pace;
      begin(!way);
    },
  };
}
