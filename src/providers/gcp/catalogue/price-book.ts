/** What machines cost: an interface with two sources, the price list that ships and the live catalog, and the sum for a whole machine. */
import type { EgressPrice } from '../../../core/offer.ts';
import type { BootDisk, GceMachine } from './machine-type.ts';

export interface MachinePrice {
  /** USD: vCPUs, memory, GPUs and bundled local SSD. */
  readonly perHour: number;
  /** Milliseconds since the epoch. */
  readonly asOf: number;
  /** In words. */
  readonly source: string;
}

export interface PricedMachine {
  readonly region: string;
  readonly spot: boolean;
  /** Boot disk, GB. */
  readonly diskGb: number;
  readonly publicIp: boolean;
}

export interface PriceBook {
  /** null: not known, which is never free. */
  machine(machine: GceMachine, region: string, spot: boolean): MachinePrice | null;
  /** USD per GB and month. */
  disk(disk: BootDisk, region: string): number | null;
  /** USD per hour of an external IPv4 address in use. */
  address(spot: boolean): number | null;
  /** Where it has prices at all. */
  readonly regions: readonly string[];
}

const hoursAMonth = 730;

/**
 * Bytes to the internet in the Premium network tier, which our machines use. Google bills by destination and by terabyte: this is the first
 * terabyte to most of the world, the same from every region, and no price row of the catalog is asked for it. An estimate.
 */
export const egressPrice: EgressPrice = {
  perGb: 0.12,
  currency: 'USD',
  asOf: Date.UTC(2026, 6, 30),
  source: "Google's list price for the first terabyte in the Premium Tier, an estimate",
};

/** The first book that knows counts. */
export function layered(books: readonly PriceBook[]): PriceBook {
  const first = <T>(ask: (book: PriceBook) => T | null): T | null => {
    for (const book of books) {
      const answer = ask(book);
      if (answer !== null) return answer;
    }
    return null;
  };
  return {
    machine: (machine, region, spot) => first((book) => book.machine(machine, region, spot)),
    disk: (disk, region) => first((book) => book.disk(disk, region)),
    address: (spot) => first((book) => book.address(spot)),
    regions: [...new Set(books.flatMap((book) => book.regions))].sort(),
  };
}

/** The machine with its boot disk and its address. null: the machine's price is not known. */
export function wholePrice(book: PriceBook, machine: GceMachine, { region, spot, diskGb, publicIp }: PricedMachine): MachinePrice | null {
  const price = book.machine(machine, region, spot);
  if (price === null) return null;
  const disk = ((book.disk(machine.bootDisk, region) ?? 0) * diskGb) / hoursAMonth;
  const address = publicIp ? (book.address(spot) ?? 0) : 0;
  return { ...price, perHour: price.perHour + disk + address };
}

/** Per month to per hour. */
export function hourly(perMonth: number): number {
  return perMonth / hoursAMonth;
}
