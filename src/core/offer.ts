/** What is needed, and what could be rented. */
import type { Currency, Price } from './money.ts';

export interface GpuNeed {
  /** The vendor's short name, as in `L4`, `A100-80GB`, `H100`; matched without regard to case. */
  readonly name: string;
  readonly count: number;
}

/** What the user asks for, after flags, config and template have been merged. */
export interface ResourceNeed {
  readonly gpu?: GpuNeed;
  readonly cpus?: number;
  readonly memoryGb?: number;
  readonly diskGb?: number;
  readonly spot: boolean;
  /** false: a machine without an address of its own, reached through the provider's tunnel. Absent: what the provider's block says. */
  readonly publicIp?: boolean;
  /** Empty: anywhere. */
  readonly regions: readonly string[];
  readonly nodes: number;
  /** The provider's own block of the config (`ssh:`, `gcp:`, ...), checked by the provider itself. */
  readonly providerOptions: Readonly<Record<string, unknown>>;
}

/** What a provider takes for bytes that leave its network. */
export interface EgressPrice {
  /** Per 10^9 bytes. */
  readonly perGb: number;
  readonly currency: Currency;
  /** When it was true, milliseconds since the epoch. */
  readonly asOf: number;
  /** Where it comes from, in words. */
  readonly source: string;
}

/** One concrete machine that could be rented now. */
export interface Offer {
  readonly provider: string;
  readonly region: string | null;
  readonly zone: string | null;
  /** The provider's name of the machine type. */
  readonly type: string;
  readonly gpu: GpuNeed | null;
  readonly spot: boolean;
  readonly price: Price;
  /** Beside the price. Absent: nothing is taken, or not known. */
  readonly egress?: EgressPrice;
  /** When the price was true, milliseconds since the epoch. */
  readonly asOf: number;
  /** Where the price comes from, in words. */
  readonly source: string;
  /** null: not known without trying. */
  readonly available: boolean | null;
}
