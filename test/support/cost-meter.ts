/**
 * A provider's own meter, as a second opinion on what `cost` books: it knows no ledger and shares no code with the product. It only
 * watches time go by and adds up what runs.
 */

interface MeteredMachine {
  readonly perHour: number;
  /** Its own timer ends it then, milliseconds since the epoch. */
  deadline: number;
  /** Milliseconds that it has run. */
  ran: number;
  runs: boolean;
  /** Dollars for a million bytes that leave it, and how many have. */
  readonly perMillion: number;
  left: number;
}

export interface MeterRules {
  readonly minimumSeconds: number;
  readonly incrementSeconds: number;
}

export interface CostMeter {
  /** `perMillion`: dollars for a million bytes that leave it. */
  begin(id: string, perHour: number, deadline: number, perMillion?: number): void;
  /** Bytes leave it. */
  leave(id: string, bytes: number): void;
  extend(id: string, deadline: number): void;
  end(id: string): void;
  /** `ms` go by. */
  pass(ms: number): void;
  runs(id: string): boolean;
  /** For its time. */
  usd(): number;
  /** For what has left. */
  egressUsd(): number;
  usdOf(id: string): number;
}

export function createCostMeter(start: number, rules: MeterRules): CostMeter {
  const machines = new Map<string, MeteredMachine>();
  let now = start;
  const known = (id: string) => {
    const machine = machines.get(id);
    if (machine === undefined) throw new Error(`The meter has no ${id}.`);
    return machine;
  };
  const usdOf = (id: string) => {
    const { ran, perHour } = known(id);
    let billed = rules.minimumSeconds;
    if (rules.incrementSeconds === 0) billed = Math.max(billed, ran / 1000);
    else {
      const begun = Math.floor(ran / 1000 / rules.incrementSeconds) * rules.incrementSeconds;
      const whole = ran % (rules.incrementSeconds * 1000) === 0 ? begun : begun + rules.incrementSeconds;
      if (whole > billed) billed = whole;
    }
    return (perHour * billed) / 3600;
  };
  return {
    begin: (id, perHour, deadline, perMillion = 0) => void machines.set(id, { perHour, deadline, ran: 0, runs: true, perMillion, left: 0 }),
    leave: (id, bytes) => {
      known(id).left += bytes;
    },
    extend: (id, deadline) => {
      known(id).deadline = deadline;
    },
    end: (id) => {
      known(id).runs = false;
    },
    pass: (ms) => {
      for (const machine of machines.values()) {
        if (!machine.runs) continue;
        const left = machine.deadline - now;
        machine.ran += Math.min(ms, Math.max(0, left));
        if (left <= ms) machine.runs = false;
      }
      now += ms;
    },
    runs: (id) => machines.get(id)?.runs ?? false,
    usd: () => [...machines.keys()].reduce((sum, id) => sum + usdOf(id), 0),
    egressUsd: () => [...machines.values()].reduce((sum, { left, perMillion }) => sum + (left * perMillion) / 1_000_000, 0),
    usdOf,
  };
}
