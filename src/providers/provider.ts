/**
 * Where machines come from. Interface only; may import core. `test/contract/provider.ts` holds every provider,
 * and the published fake, to what stands here.
 */
import type { Duplex } from 'node:stream';
import type { Access, Labels, MachineRef, MachineStatus, Termination } from '../core/machine.ts';
import type { Offer, ResourceNeed } from '../core/offer.ts';

export interface ProviderTraits {
  /** Who ends the machine at its deadline if the laptop never comes back: the provider, our watchdog on the machine, or nobody. */
  readonly deadline: 'native' | 'watchdog' | 'none';
  /** How the host key is known before the first connection: the provider publishes it, we preset it, or the user pins it. */
  readonly hostKeys: 'published' | 'preset' | 'pinned';
  /** The machine ends by itself when it has been idle for its limit. */
  readonly endsIdle: boolean;
  /** What switches itself off is no longer billed, but for its disk: the watchdog on the machine may do that. Absent: it must not. */
  readonly switchesOff?: boolean;
  readonly stop: 'free' | 'billed' | 'none';
  /** launch with the same request id twice makes one machine. */
  readonly idempotentLaunch: boolean;
  readonly spot: boolean;
  /** Smallest billed span, seconds. */
  readonly billingIncrementSeconds: number;
  /** A machine that existed at all is billed for so long, seconds; absent: no longer than it existed. */
  readonly billingMinimumSeconds?: number;
  /** The machine is the user's own: nothing is created or ended but our files and jobs. */
  readonly borrowed: boolean;
}

/** Everything that `launch` needs, decided and written to the ledger beforehand. Plain JSON. */
export interface LaunchPlan {
  /** Our id of the machine, and its name at the provider. */
  readonly id: string;
  readonly name: string;
  readonly labels: Labels;
  readonly offer: Offer;
  readonly need: ResourceNeed;
  /** Makes a repeated call the same call, where the provider supports it. */
  readonly requestId: string;
  /** Milliseconds since the epoch: nothing of this machine exists or bills after it. */
  readonly deadline: number;
  /** Seconds without job and SSH session after which the machine ends; null: no idle limit. */
  readonly idleSeconds: number | null;
  /** Our public key in OpenSSH's one-line form: the only one that the machine accepts. */
  readonly sshPublicKey: string;
}

export interface Provider {
  readonly id: string;
  readonly traits: ProviderTraits;

  /** What could be rented now for this need, cheapest first where prices are known. Costs nothing. Empty: nothing fits. */
  offers(need: ResourceNeed, signal?: AbortSignal): AsyncIterable<Offer>;

  /**
   * Orders the machine and returns as soon as it is known to exist; never waits for the boot.
   * A failure leaves nothing behind, or throws with `retry` saying what may be tried next.
   */
  launch(plan: LaunchPlan, signal?: AbortSignal): Promise<MachineRef>;

  /** One look, no waiting. A machine that does not exist is `gone`, not an error. */
  describe(ref: MachineRef, signal?: AbortSignal): Promise<MachineStatus>;

  /** Ends it with all that belongs to it. Idempotent; a machine that does not exist is `gone`. */
  terminate(ref: MachineRef, signal?: AbortSignal): Promise<Termination>;

  /** All that carries the owner's label, half-made machines and leftovers too, so that `reap` finds what the ledger has lost. */
  list(owner: string, signal?: AbortSignal): AsyncIterable<MachineRef>;

  /** The ref that `launch(plan)` will give, where it is known beforehand: what it names can be looked for and ended whatever becomes of the call. */
  readonly expect?: (plan: LaunchPlan) => MachineRef;
  /** Asks the provider who we are there, in words. Costs nothing. @throws GpuRunError why nothing can be rented */
  readonly check?: (need: ResourceNeed, signal?: AbortSignal) => Promise<string>;
  /** `list` looks there, too: what the config says of the provider. @throws GpuRunError `bad-input` */
  readonly alsoListIn?: (providerOptions: Readonly<Record<string, unknown>>) => void;
  /** False: nothing here says where `list` should look, so that it finds nothing. Absent: it always knows. */
  readonly isSetUp?: () => Promise<boolean>;
  /** What a machine that `list` has found is, at the price of now, for a ledger that does not know it. null: that can't be told. */
  readonly appraise?: (ref: MachineRef, signal?: AbortSignal) => Promise<Offer | null>;
  /** Where a machine is, as text: two of one id in two places are two machines. null: not known. Absent: an id is in one place only. */
  readonly placeOf?: (ref: MachineRef) => string | null;
  /** The exact command that ends a machine without us, for when we can't. */
  readonly endByHand?: (ref: MachineRef) => string;
  /** Lets SSH in from where the caller is now, where somebody keeps it out. False: there was nothing to change, or it could not be. Never makes things worse. */
  readonly letIn?: (ref: MachineRef, signal: AbortSignal) => Promise<boolean>;
  /** Moves the deadline of a machine that runs, and what its label says about it. Absent: it can't be moved. @throws GpuRunError `not-found` */
  readonly extend?: (ref: MachineRef, deadline: number, signal?: AbortSignal) => Promise<void>;
  /** How the host is reached that these options name, where nothing has to be ordered for that; null: they name none. @throws GpuRunError `bad-input` */
  readonly ownHost?: (providerOptions: Readonly<Record<string, unknown>>) => Access | null;
  readonly console?: ConsoleLog;
  readonly tunnel?: Tunnel;
}

/** What a machine says while it boots, told by the provider and not by the machine's SSH server. */
export interface ConsoleLog {
  /** The last lines, oldest first; null: there is nothing. */
  tail(ref: MachineRef, lines: number, signal?: AbortSignal): Promise<string | null>;
}

/** Bytes to a machine that has no address of its own for us: its access has `tunnel`. */
export interface Tunnel {
  /** A stream to the machine's SSH port, connected. `to`: the access's own `tunnel`. */
  open(to: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Duplex>;
}
