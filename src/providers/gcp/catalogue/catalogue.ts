/**
 * What Compute Engine has, where, for how much, and how much of it the project may have. Reads the API and Google's price list;
 * orders nothing. Of the rest of the provider it knows `GceApi` alone.
 */
import type { Clock } from '../../../core/clock.ts';
import type { Offer, ResourceNeed } from '../../../core/offer.ts';
import type { GceApi } from '../gce-api.ts';
import type { Provisioning } from './fitting.ts';
import type { GceMachine } from './machine-type.ts';
import type { MachinePrice, PricedMachine } from './price-book.ts';

export interface CatalogueParts {
  /** Opened once, at its first use. @throws what `createGceApi` throws */
  readonly api: () => Promise<GceApi>;
  /** False: no credentials are set up, so offers come from the price list that ships, and nothing is asked of Google. */
  readonly hasCredentials: () => Promise<boolean>;
  /** A folder of ours that may be emptied at any time; need not exist. Holds live prices. */
  readonly cache: string;
  /** Base of the Cloud Billing API, without a slash at the end: `https://cloudbilling.googleapis.com`. */
  readonly billingUrl: string;
  readonly clock: Clock;
  /** For `--verbose`. */
  readonly log?: (line: string) => void;
  /** How Cloud Billing is asked: the caller's proxy. Default: the global one. */
  readonly fetch?: (url: string, init: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal }) => Promise<Response>;
}

/** What the provider's options say about a machine. */
export interface OfferOptions {
  /** Boot disk, GB. */
  readonly diskGb: number;
  /** Default: what the machine type takes. */
  readonly diskType?: string | null;
  /** The machine gets an external IPv4 address, which costs. */
  readonly publicIp: boolean;
  /** Default: Spot or standard, as the need says. */
  readonly provisioning?: Provisioning | null;
}

export interface Catalogue {
  /** Of a machine that exists, at the price of now, whatever quota and stock are. null: its price is not known. @throws the signal's reason */
  priceOf(machine: GceMachine, of: PricedMachine, signal?: AbortSignal): Promise<MachinePrice | null>;
  /**
   * Cheapest first, so region by region, and the zones of one region after each other. On Spot, Google's advice orders zones, and
   * regions that cost about the same.
   * With credentials: only zones that have the type, and regions whose quota has room. Without: one offer a region, from the price
   * list that ships.
   * @throws GpuRunError `no-capacity` when Google has no such machine at all, `quota` when no region has room, `bad-input` for
   * an unknown region; `GceError` when the API can't be asked
   */
  offers(need: ResourceNeed, options: OfferOptions, signal?: AbortSignal): AsyncIterable<Offer>;
}
